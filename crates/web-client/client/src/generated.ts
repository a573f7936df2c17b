// The types that cross the border between hub and client. Generated from the Rust crate
// `shared-dto`; change it there, then run `RENEW=1 cargo test -p web-client`.

/** `POST /api/v1/notifications/ack`: everything up to `sequence` was seen. */
export interface AcknowledgeRequest {
  /** The newest sequence that was seen. */
  readonly sequence: number;
}

/** One analysis, as its owner sees it. */
export interface Analysis {
  /** The analysis. */
  readonly analysisId: number;
  /** When it ended. */
  readonly completedAt?: string | null;
  /** When it was accepted. */
  readonly createdAt: string;
  /** What grows there, in the uploader's words. */
  readonly cropType?: string | null;
  /** Why it failed, in words for the user, once it is `Failed`. */
  readonly errorMessage?: string | null;
  /** The photo: a link that opens without a header for some days. */
  readonly imageUrl?: string | null;
  /** The uploader's notes. */
  readonly notes?: string | null;
  /** The photo with the symptoms outlined, once there is one. */
  readonly overlayUrl?: string | null;
  readonly progress?: Progress | null;
  readonly result?: AnalysisResult | null;
  /** Where it stands. */
  readonly status: AnalysisStatus;
  /** Its owner. */
  readonly userId: UserId;
}

/** The answer to an accepted upload. */
export interface AnalysisAccepted {
  /** The new analysis. */
  readonly analysisId: number;
  /** Always `Processing` for a new analysis; where it stands for a repeated request. */
  readonly status: AnalysisStatus;
}

/** What `ReceiveAnalysisCompleted` carries. */
export interface AnalysisCompleted {
  /** The analysis that ended. */
  readonly analysisId: number;
  /** When it ended. */
  readonly completedAt: string;
  /** What grows there. */
  readonly cropType?: string | null;
  /** `app://analysis/{id}`. */
  readonly deepLink: string;
  /** The photo. The log keeps a path; it is signed when it is sent. */
  readonly imageUrl?: string | null;
  /** 0 to 100. */
  readonly overallHealthScore?: number | null;
  /** The main finding in words. */
  readonly primaryConcern?: string | null;
  /** `Completed`. */
  readonly status: AnalysisStatus;
  /** Its owner. */
  readonly userId: UserId;
}

/** What `ReceiveAnalysisFailed` carries. */
export interface AnalysisFailed {
  /** The analysis that failed. */
  readonly analysisId: number;
  /** What grows there. */
  readonly cropType?: string | null;
  /** `app://analysis/{id}`. */
  readonly deepLink: string;
  /** Why, in words for the user. */
  readonly errorMessage: string;
  /** The photo. */
  readonly imageUrl?: string | null;
  /** `Failed`. */
  readonly status: AnalysisStatus;
  /** When it failed. */
  readonly timestamp: string;
  /** Its owner. */
  readonly userId: UserId;
}

/** A page of analyses, newest first. */
export interface AnalysisPage {
  /** At most `limit` analyses. */
  readonly items: readonly Analysis[];
  /** Give it as `before` to get the next page; absent on the last. */
  readonly nextBefore?: number | null;
}

/** What `ReceiveAnalysisProgress` carries. It is never logged and has no sequence. */
export interface AnalysisProgress {
  /** The analysis under way. */
  readonly analysisId: number;
  /** The step in words for the user. */
  readonly message: string;
  /** 0 to 100. */
  readonly percent: number;
  /** A short machine-readable name of the step. */
  readonly stage: string;
  /** `Processing`. */
  readonly status: AnalysisStatus;
  /** When it was told. */
  readonly timestamp: string;
  /** Its owner. */
  readonly userId: UserId;
}

/**
 * What an analysis found. Analysers fill what they know; `details` carries
 * what only they know.
 */
export interface AnalysisResult {
  /** What made the result, e.g. `builtin-colour-screening/1` or `n8n`. */
  readonly analyser?: string | null;
  /** 0 to 1: how far the analyser trusts itself. */
  readonly confidence?: number | null;
  /** What grows there, where the analyser knows it or was told. */
  readonly cropType?: string | null;
  /** Anything else the analyser answered, unread by the hub. */
  readonly details?: unknown | null;
  /** What the analyser says of its own limits. */
  readonly disclaimer?: string | null;
  /** Leaf area as a share of the photo, 0 to 1. */
  readonly leafAreaShare?: number | null;
  /** 0 (dead) to 100 (no symptom seen). */
  readonly overallHealthScore?: number | null;
  /** The main finding, in words for the user. */
  readonly primaryConcern?: string | null;
  /** What a user should do or know. */
  readonly recommendations?: readonly string[];
  /** How bad it is as a whole: `none`, `low`, `moderate`, `high`, `severe`. */
  readonly severity?: string | null;
  /** What was found on the leaf, largest first. */
  readonly symptoms?: readonly Symptom[];
}

/** Where an analysis stands. It starts as `Processing` and ends once. */
export type AnalysisStatus = 'Processing' | 'Completed' | 'Failed';

/** The answer: a token like any other. */
export interface DevelopmentToken {
  /** When it ends. */
  readonly expiresAt: string;
  /** For `Authorization: Bearer`. */
  readonly token: string;
}

/** `POST /api/development/token`: a token is wanted. */
export interface DevelopmentTokenRequest {
  /** The roles that it is to name, e.g. `Admin`. */
  readonly roles?: readonly string[];
  /** Whose token it is to be. */
  readonly userId: UserId;
}

/** One field that is wrong. */
export interface FieldError {
  /** What is accepted instead. */
  readonly accepted: string;
  /** What is wrong with it. */
  readonly detail: string;
  /** The field's name as it was sent, e.g. `image` or `notification.analysisId`. */
  readonly field: string;
}

/** One entry of a user's notification log, as REST gives it. */
export interface Notification {
  /** When it was logged. */
  readonly createdAt: string;
  /** The hub event that carries it, e.g. `ReceiveAnalysisCompleted`. */
  readonly event: string;
  /** Unique over all users. */
  readonly notificationId: number;
  /** The event's argument, `notificationId` and `sequence` included where it is an object. */
  readonly payload: unknown;
  /** Position in this user's log, from 1, without holes. */
  readonly sequence: number;
}

/** A page of the log, in order of the sequence. */
export interface NotificationPage {
  /** False when entries after `after` are no longer kept. */
  readonly complete: boolean;
  /** The log's epoch: it changes when the log was lost, and old sequences mean nothing then. */
  readonly epoch: string;
  /** The sequence of the newest entry in the log, 0 when there is none. */
  readonly head: number;
  /** At most `limit` entries with a sequence above `after`. */
  readonly items: readonly Notification[];
}

/** What went wrong with a request, for its sender. Never holds internals or secrets. */
export interface Problem {
  /** What is wrong with this request, and what is accepted. */
  readonly detail?: string | null;
  /** The fields that are wrong, where the problem is with fields. */
  readonly errors?: readonly FieldError[];
  /** The HTTP status. */
  readonly status: number;
  /** The kind in words; the same for every problem of this kind. */
  readonly title: string;
  /** A URI reference that names the kind of problem, e.g. `/problems/invalid-image`. */
  readonly type: string;
}

/** How far an analysis is. */
export interface Progress {
  /** The step in words for the user. */
  readonly message: string;
  /** 0 to 100. */
  readonly percent: number;
  /** A short machine-readable name of the step, e.g. `segmenting`. */
  readonly stage: string;
}

/** What the hub method `Resume(cursor)` returns. */
export interface Resumed {
  /**
   * False when the cursor is of another epoch or before what is kept, and
   * nothing was replayed, or when retention overtook the replay: the
   * client's own state must be loaded anew.
   */
  readonly complete: boolean;
  /** The log's epoch, for the next cursor `"epoch:sequence"`. */
  readonly epoch: string;
  /** The first sequence that was replayed; `to + 1` when none was missing. */
  readonly from: number;
  /** The newest sequence that the client now has. */
  readonly to: number;
}

/** One kind of symptom on the leaf. */
export interface Symptom {
  /** `chlorosis`, `rust`, `necrosis`, `mildew`, or what another analyser names. */
  readonly kind: string;
  /** Its share of the leaf area, 0 to 1. */
  readonly leafShare: number;
  /** Number of separate patches. */
  readonly patches: number;
}

/** The answer to an acknowledgement, and to `GET /api/v1/notifications/unread-count`. */
export interface UnreadCount {
  /** The newest acknowledged sequence, 0 when there is none. */
  readonly acknowledged: number;
  /** Entries that nobody acknowledged. */
  readonly unread: number;
}

export type UserId = number | string;
