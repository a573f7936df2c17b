import { ApiError, type PlantAnalysisApi } from 'tendril-client';
import { byId, showText } from './dom.js';
import { KINDS, prepare } from './photo.js';

/** Waits between attempts to send a photo, in milliseconds. */
const WAITS = [1_000, 2_000, 5_000, 10_000];

/** The form that sends a photo. Returns what takes its listeners off again. */
export function uploadForm(api: PlantAnalysisApi, accepted: (analysisId: number, cropType: string) => void): () => void {
  const form = byId<HTMLFormElement>('upload');
  const input = byId<HTMLInputElement>('photo');
  const crop = byId<HTMLInputElement>('crop');
  const drop = byId('drop');
  const preview = byId<HTMLImageElement>('preview');
  const send = byId<HTMLButtonElement>('send');
  const error = byId('upload-error');
  const gone = new AbortController();
  const { signal } = gone;
  let photo: File | null = null;
  let sending: AbortController | null = null;

  const choose = (file: File | null | undefined) => {
    if (file && !KINDS.includes(file.type)) {
      showText(error, `${file.name || 'This'} is no JPEG, PNG or WebP picture.`);
      return;
    }
    if (preview.src) URL.revokeObjectURL(preview.src);
    photo = file ?? null;
    showText(error, null);
    preview.hidden = !photo;
    byId('drop-text').hidden = photo !== null;
    if (photo) preview.src = URL.createObjectURL(photo);
    else preview.removeAttribute('src');
    send.disabled = !photo || sending !== null;
  };

  const submit = async () => {
    if (!photo || sending) return;
    sending = new AbortController();
    send.disabled = true;
    showText(error, null);
    const cropType = crop.value.trim();
    try {
      const analysisId = await sendPhoto(api, photo, cropType, sending.signal);
      input.value = '';
      choose(null);
      accepted(analysisId, cropType);
    } catch (cause) {
      if ((cause as Error).name !== 'AbortError') showText(error, explain(cause as Error));
    } finally {
      sending = null;
      byId('sending').hidden = true;
      send.disabled = !photo;
    }
  };

  input.addEventListener('change', () => input.files?.[0] && choose(input.files[0]), { signal });
  form.addEventListener('submit', (event) => { event.preventDefault(); void submit(); }, { signal });
  byId('cancel').addEventListener('click', () => sending?.abort(), { signal });
  document.addEventListener('paste', ({ clipboardData }) => {
    const pasted = clipboardData?.files[0];
    if (pasted) choose(pasted);
  }, { signal });
  // Anywhere on the page: a photo that misses the field must not replace the page.
  document.addEventListener('dragover', (event) => { event.preventDefault(); drop.classList.add('over'); }, { signal });
  document.addEventListener('dragleave', () => drop.classList.remove('over'), { signal });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    const dropped = event.dataTransfer?.files[0];
    if (dropped) choose(dropped);
  }, { signal });

  return () => {
    gone.abort();
    sending?.abort();
    choose(null);
  };
}

/** Sends until the hub has it. The key makes all attempts one analysis. */
async function sendPhoto(api: PlantAnalysisApi, original: File, cropType: string, signal: AbortSignal): Promise<number> {
  const idempotencyKey = newKey();
  const bar = byId<HTMLProgressElement>('sent');
  const text = byId('sending-text');
  const show = (share: number, words: string) => {
    bar.value = share;
    if (text.textContent !== words) text.textContent = words;
  };
  show(0, 'Sending');
  byId('sending').hidden = false;
  const photo = await prepare(original);
  signal.throwIfAborted();
  const onProgress = (share: number) => show(share, share < 1 ? 'Sending' : 'Sent, waiting for the hub');
  for (let attempt = 0; ; attempt += 1) {
    try {
      const { analysisId } = await api.upload({ photo, cropType, idempotencyKey, signal, onProgress });
      return analysisId;
    } catch (error) {
      if (!(error instanceof ApiError) || !error.isTransient) throw error;
      show(0, 'No connection. It is sent as soon as there is one.');
      const wait = error.retryAfter === null ? WAITS[Math.min(attempt, WAITS.length - 1)]! : error.retryAfter * 1000;
      await untilWorthATry(wait, signal);
    }
  }
}

/** The time given, or less when the network comes back. */
function untilWorthATry(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener('online', done);
      if (signal.aborted) reject(new DOMException('The upload was cancelled.', 'AbortError'));
      else resolve();
    };
    const timer = setTimeout(done, milliseconds);
    addEventListener('online', done);
    signal.addEventListener('abort', done);
  });
}

/** `crypto.randomUUID` is missing on pages that came over plain HTTP from elsewhere than this machine. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function explain(error: Error): string {
  if (!(error instanceof ApiError) || !error.problem) return error.message;
  return error.problem.errors?.map(({ detail, accepted }) => `${detail} (${accepted})`).join('; ') || error.message;
}
