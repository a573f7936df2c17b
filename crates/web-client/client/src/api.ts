import type {
  Analysis,
  AnalysisAccepted,
  AnalysisPage,
  NotificationPage,
  Problem,
  UnreadCount,
} from './generated.js';

/** How long a question may take, in milliseconds: what a tunnel swallowed is never answered. */
const ANSWER_TIMEOUT = 20_000;

/** Where the REST surface is, and who calls it. */
export interface PlantAnalysisApiOptions {
  /** The deployment, e.g. `https://hub.example`; the page's own where it is missing. */
  readonly url?: string;
  readonly token: () => string | Promise<string>;
}

/** An upload. */
export interface Upload {
  readonly photo: Blob;
  readonly cropType?: string;
  readonly notes?: string;
  /** The same key for each attempt makes them one analysis. */
  readonly idempotencyKey: string;
  /** Told from 0 to 1, in browsers. */
  readonly onProgress?: (share: number) => void;
  readonly signal?: AbortSignal;
}

/** The hub refused a request, or could not be reached (`status` 0). */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly status: number,
    readonly problem: Problem | null,
    /** Seconds after which the hub wants to be asked again. */
    readonly retryAfter: number | null = null,
  ) {
    super(problem?.detail ?? problem?.title ?? (status === 0 ? 'The hub cannot be reached.' : `The hub answered ${status}.`));
  }

  /** Whether the same request may succeed later. */
  get isTransient(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** The REST surface of a hub, for one user. */
export class PlantAnalysisApi {
  readonly #url: string;
  readonly #token: () => string | Promise<string>;

  constructor({ url = '', token }: PlantAnalysisApiOptions) {
    this.#url = url.replace(/\/+$/, '');
    this.#token = token;
  }

  /** Sends a photo for analysis. */
  async upload(upload: Upload): Promise<AnalysisAccepted> {
    const form = new FormData();
    if (upload.cropType) form.set('cropType', upload.cropType);
    if (upload.notes) form.set('notes', upload.notes);
    form.set('image', upload.photo, 'photo');
    const headers = { 'Idempotency-Key': upload.idempotencyKey, ...(await this.#authorization()) };
    const path = `${this.#url}/api/v1/plantanalyses/analyze-async`;
    if (typeof XMLHttpRequest !== 'undefined') return (await sendWithProgress(path, headers, form, upload)) as AnalysisAccepted;
    return this.#request(path, { method: 'POST', headers, body: form, ...(upload.signal && { signal: upload.signal }) });
  }

  /** The user's analyses, newest first; `before` is the `nextBefore` of the page before. */
  analyses(limit = 20, before?: number | null): Promise<AnalysisPage> {
    return this.#get(`/api/v1/plantanalyses?limit=${limit}${before ? `&before=${before}` : ''}`);
  }

  analysis(id: number): Promise<Analysis> {
    return this.#get(`/api/v1/plantanalyses/${id}`);
  }

  notifications(after: number, limit = 50): Promise<NotificationPage> {
    return this.#get(`/api/v1/notifications?after=${after}&limit=${limit}`);
  }

  unreadCount(): Promise<UnreadCount> {
    return this.#get('/api/v1/notifications/unread-count');
  }

  async #get<Answer>(path: string): Promise<Answer> {
    return this.#request(this.#url + path, { headers: await this.#authorization(), signal: AbortSignal.timeout(ANSWER_TIMEOUT) });
  }

  async #authorization(): Promise<Record<string, string>> {
    return { Authorization: `Bearer ${await this.#token()}` };
  }

  async #request<Answer>(url: string, init: RequestInit): Promise<Answer> {
    let response: Response;
    try {
      response = await fetch(url, init);
    } catch (error) {
      if ((error as Error).name === 'AbortError') throw error;
      throw new ApiError(0, null);
    }
    const body: unknown = await response.json().catch(() => undefined);
    // Cut off within the answer, or no hub's at all.
    if (response.ok && body === undefined) throw new ApiError(0, null);
    if (!response.ok) throw refusal(response.status, body, response.headers.get('Retry-After'));
    return body as Answer;
  }
}

/** `fetch` tells nothing of how far an upload is. */
function sendWithProgress(url: string, headers: Record<string, string>, form: FormData, upload: Upload): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const cancelled = () => reject(new DOMException('The upload was cancelled.', 'AbortError'));
    // `abort()` does nothing to a request that is not under way yet: it would be sent after all.
    if (upload.signal?.aborted) return cancelled();
    const request = new XMLHttpRequest();
    request.open('POST', url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.responseType = 'json';
    request.upload.onprogress = ({ loaded, total }) => upload.onProgress?.(total > 0 ? loaded / total : 0);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(request.response);
      else reject(refusal(request.status, request.response, request.getResponseHeader('Retry-After')));
    };
    request.onerror = () => reject(new ApiError(0, null));
    request.onabort = cancelled;
    upload.signal?.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}

function refusal(status: number, body: unknown, retryAfter: string | null): ApiError {
  const problem = body !== null && typeof body === 'object' && 'title' in body ? (body as Problem) : null;
  return new ApiError(status, problem, retryAfter === null ? null : Number(retryAfter) || null);
}
