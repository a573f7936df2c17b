import { type HubMessage, type ILogger, JsonHubProtocol, MessageType } from '@microsoft/signalr';

/** What a hub said when it closed a connection. */
export interface CloseNotice {
  /** A text for the user, e.g. that there are too many connections; null where there is none. */
  readonly reason: string | null;
  /** The hub does not want this client back at once. */
  readonly refused: boolean;
}

/** What SignalR servers say of a connection that failed, e.g. after a silence: nothing for a user. */
const OF_THE_SERVER = 'Connection closed with an error.';

/**
 * The JSON protocol, which also remembers why the hub closed. The SignalR client gives the text of
 * every such message in the same words, and keeps to itself whether the hub allows to come back.
 */
export class NotingProtocol extends JsonHubProtocol {
  notice: CloseNotice | null = null;

  override parseMessages(input: string, logger: ILogger): HubMessage[] {
    const messages = super.parseMessages(input, logger);
    for (const message of messages) {
      if (message.type !== MessageType.Close) continue;
      const reason = message.error && !message.error.startsWith(OF_THE_SERVER) ? message.error : null;
      this.notice = { reason, refused: reason !== null && message.allowReconnect !== true };
    }
    return messages;
  }
}
