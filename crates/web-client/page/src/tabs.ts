/** What tabs of the same user tell each other, as the hub tells it to nobody. */
export type News =
  /** Everything up to this sequence was seen. */
  | { readonly kind: 'read'; readonly acknowledged: number }
  /** An analysis was sent. */
  | { readonly kind: 'sent'; readonly analysisId: number };

export class Tabs {
  readonly #channel: BroadcastChannel;

  constructor(user: string, heard: (news: News) => void) {
    this.#channel = new BroadcastChannel(`tendril.${user}`);
    this.#channel.onmessage = ({ data }: MessageEvent<News>) => heard(data);
  }

  tell(news: News): void {
    this.#channel.postMessage(news);
  }

  close(): void {
    this.#channel.close();
  }
}
