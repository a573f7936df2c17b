import type { AnalysisCompleted, AnalysisFailed, AnalysisProgress, Resumed } from './generated.js';
import type { ConnectionState } from './connection-state.js';

/** What the hub adds to every entry of the log. */
export interface Logged {
  /** Unique over all users. */
  readonly notificationId: number;
  /** Position in this user's log, from 1. */
  readonly sequence: number;
}

/** A text of the operators for everybody who is connected. */
export interface MaintenanceNotice {
  readonly message: string;
  /** Until when, in words or as a date. */
  readonly until?: string | null;
}

/** The events of `/hubs/plantanalysis`, by the names that they have on the wire. */
export interface HubEvents {
  ReceiveAnalysisCompleted: AnalysisCompleted & Logged;
  ReceiveAnalysisFailed: AnalysisFailed & Logged;
  ReceiveAnalysisProgress: AnalysisProgress;
  ReceiveMaintenanceNotice: MaintenanceNotice | null;
}

/** What listeners of a client are told. */
export interface ClientEvents {
  /** An analysis ended with a result. Never told twice. */
  completed: AnalysisCompleted & Logged;
  /** An analysis ended without one. Never told twice. */
  failed: AnalysisFailed & Logged;
  /** An analysis goes on. Progress may be left out when the network is slow. */
  progress: AnalysisProgress;
  /** An event of another kind of job, one of those that the options name. */
  other: { readonly event: string; readonly payload: unknown };
  /** Operators have something to say to everybody; null takes it back. */
  notice: MaintenanceNotice | null;
  /** The state of the connection changed. */
  state: ConnectionState;
  /** The connection is up and everything missed has been told. */
  resumed: Resumed;
  /** Not everything missed could be told: load your own state anew. */
  gap: Resumed;
}

/** Takes a listener off again. */
export type Unsubscribe = () => void;
