import { type ChangeEvent, useMemo, useState } from 'react';
import { type ConnectionState, PlantAnalysisApi } from 'tendril-client';
import { usePlantAnalysis } from 'tendril-client/react';

/** Where the hub is and who asks. */
export interface Session {
  readonly url: string;
  readonly user: string;
  readonly token: string;
}

/** Sends photos, and shows what becomes of them. */
export function Analyses({ url, user, token }: Session) {
  const api = useMemo(() => new PlantAnalysisApi({ url, token: () => token }), [url, token]);
  const { connection, notifications, progress, acknowledge, retryNow } = usePlantAnalysis({ url, user, token: () => token });
  const [error, setError] = useState<string | null>(null);

  async function send({ target }: ChangeEvent<HTMLInputElement>) {
    const photo = target.files?.[0];
    if (!photo) return;
    setError(null);
    try {
      await api.upload({ photo, idempotencyKey: crypto.randomUUID() });
    } catch (cause) {
      setError((cause as Error).message);
    }
  }

  const newest = notifications[0];
  return (
    <>
      <p role="status">
        {describe(connection)} {connection.status === 'reconnecting' && <button onClick={retryNow}>Try now</button>}
      </p>
      <label>
        Photo <input type="file" accept="image/jpeg,image/png,image/webp" onChange={send} />
      </label>
      {error && <p role="alert">{error}</p>}
      <ul aria-label="Under way">
        {[...progress.values()].map(({ analysisId, percent, message }) => (
          <li key={analysisId}>
            #{analysisId} <progress max={100} value={percent} aria-label={`Analysis ${analysisId}`} /> {message}
          </li>
        ))}
      </ul>
      <ul aria-label="Ended">
        {notifications.map((notification) => (
          <li key={notification.sequence}>
            #{notification.analysisId}{' '}
            {'errorMessage' in notification ? notification.errorMessage : notification.primaryConcern}
          </li>
        ))}
      </ul>
      {newest && <button onClick={() => void acknowledge(newest.sequence)}>Mark all as read</button>}
    </>
  );
}

function describe(connection: ConnectionState): string {
  if (connection.status !== 'reconnecting') return connection.status;
  return connection.nextTry ? `reconnecting at ${connection.nextTry.toLocaleTimeString()}` : 'reconnecting';
}
