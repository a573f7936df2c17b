/** What the hub tells operators; `/openapi.json` describes the same. */

export type { Problem } from 'tendril-client';

export interface HealthReport {
  readonly status: HealthStatus;
  readonly checks: readonly {
    readonly name: string;
    readonly status: HealthStatus;
    readonly description: string;
    readonly durationMs: number;
    readonly data: Readonly<Record<string, unknown>>;
  }[];
}

export type HealthStatus = 'Healthy' | 'Degraded' | 'Unhealthy';

/** Who works on what, and what went wrong lately. */
export interface Work {
  readonly workers: readonly {
    readonly id: string;
    readonly state: WorkerState;
    readonly leased: number;
    readonly parked: number;
    readonly askedSecondsAgo: number | null;
  }[];
  readonly setbacks: readonly {
    readonly at: string;
    readonly analysisId: number;
    readonly what: string;
    readonly detail: string;
  }[];
}

export type WorkerState = 'working' | 'waiting' | 'silent';

/** All hubs that share a Redis, as the one that was asked knows; that one is the first. */
export interface AllNodes {
  readonly nodes: readonly {
    readonly node: string;
    readonly version: string;
    readonly upSeconds: number;
    readonly connections: Readonly<Record<string, number>>;
  }[];
  readonly silent: number;
}

export interface NotificationLogPage {
  readonly items: readonly {
    readonly id: number;
    readonly userId: string | number | null;
    readonly analysisId: number | null;
    readonly sequence: number;
    readonly event: string;
    readonly createdAt: string;
    readonly outcome: string;
    readonly retryCount: number;
    readonly confirmedBy: string | null;
  }[];
  readonly nextBefore: number | null;
}

/** Some connections of one node, the slowest first. */
export interface NodeConnections {
  readonly total: number;
  readonly connections: readonly {
    readonly connectionId: string;
    readonly userId: string | null;
    readonly transport: string;
    readonly protocol: string;
    readonly waitingBytes: number;
  }[];
}

export interface UserConnections {
  readonly connections: readonly {
    readonly connectionId: string;
    readonly hub: string;
    readonly transport: string;
    readonly connectedAt: string;
  }[];
}

export interface ConnectionsClosed {
  readonly closed: number;
}

export interface Switches {
  readonly enableSignalR: boolean;
  readonly realtimeStreamingV2: boolean;
  readonly realtimeRolloutPercent: number;
  readonly rolloutAllowList: readonly string[];
  readonly logFilter: string | null;
  readonly maintenanceNotice: { readonly message: string; readonly until?: string | null } | null;
}

/** The switches after a change; where hubs share a Redis, with whether the others were told. */
export interface Switched extends Switches {
  readonly otherHubsTold?: boolean;
}

/** What is absent stays as it is. */
export type SwitchChange = { readonly [Name in keyof Switches]?: Switches[Name] };
