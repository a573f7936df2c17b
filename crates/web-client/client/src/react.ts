import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import {
  type AnalysisCompleted,
  type AnalysisFailed,
  type AnalysisProgress,
  type ConnectionState,
  type Logged,
  PlantAnalysisClient,
  type PlantAnalysisClientOptions,
} from './index.js';

/** What `usePlantAnalysis` gives to a component. */
export interface PlantAnalysis {
  readonly connection: ConnectionState;
  /** Every analysis that ended since the component was mounted, newest first. */
  readonly notifications: readonly ((AnalysisCompleted | AnalysisFailed) & Logged)[];
  /** How far the analyses under way are, by their id. */
  readonly progress: ReadonlyMap<number, AnalysisProgress>;
  /** Tells the hub that the user saw everything up to `sequence`. */
  readonly acknowledge: (sequence: number) => Promise<void>;
  /** Tries to connect now instead of at the announced time. */
  readonly retryNow: () => void;
}

/** Further wishes of a component. */
export interface UsePlantAnalysisOptions extends PlantAnalysisClientOptions {
  /** Whose token it is. Another user has another log, so that the position in this one says nothing there. */
  readonly user: string | number;
  /** Called for each analysis that ends, e.g. to show a toast. */
  readonly onEnded?: (notification: (AnalysisCompleted | AnalysisFailed) & Logged) => void;
  /** Called when what was missed cannot be told: load your own state anew. */
  readonly onGap?: () => void;
}

type Heard = Pick<PlantAnalysis, 'notifications' | 'progress'>;

const NOTHING: Heard = { notifications: [], progress: new Map() };

/**
 * Connects while the component is mounted. A change of `url` or `user` connects anew and forgets
 * what was heard, with the `cursor`, `from`, `events` and the rest as they are then. `token`,
 * `onEnded` and `onGap` are read when they are needed, so they may be written in place.
 */
export function usePlantAnalysis(options: UsePlantAnalysisOptions): PlantAnalysis {
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const client = useMemo(
    () => new PlantAnalysisClient({ ...options, token: () => latest.current.token() }),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the other options do not change a client
    [options.url, options.user],
  );
  const [kept, setKept] = useState({ of: client, heard: NOTHING });
  // What another user's client heard is not shown for a moment, either.
  const { notifications, progress } = kept.of === client ? kept.heard : NOTHING;
  const connection = useSyncExternalStore(
    (changed) => client.on('state', changed),
    () => client.state,
    () => client.state,
  );

  useEffect(() => {
    const hear = (change: (heard: Heard) => Heard) =>
      setKept(({ of, heard }) => ({ of: client, heard: change(of === client ? heard : NOTHING) }));
    const ended = (notification: (AnalysisCompleted | AnalysisFailed) & Logged) => {
      hear(({ notifications, progress }) => ({
        notifications: [notification, ...notifications],
        progress: without(progress, notification.analysisId),
      }));
      latest.current.onEnded?.(notification);
    };
    const unsubscribe = [
      client.on('completed', ended),
      client.on('failed', ended),
      client.on('progress', (step) => hear((heard) => ({ ...heard, progress: new Map(heard.progress).set(step.analysisId, step) }))),
      client.on('gap', () => latest.current.onGap?.()),
    ];
    client.start();
    return () => {
      for (const each of unsubscribe) each();
      void client.stop();
    };
  }, [client]);

  return useMemo(
    () => ({
      connection,
      notifications,
      progress,
      acknowledge: (sequence: number) => client.acknowledge(sequence),
      retryNow: () => client.retryNow(),
    }),
    [client, connection, notifications, progress],
  );
}

function without<Value>(all: ReadonlyMap<number, Value>, key: number): ReadonlyMap<number, Value> {
  const rest = new Map(all);
  rest.delete(key);
  return rest;
}
