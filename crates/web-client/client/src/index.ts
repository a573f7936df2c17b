export * from './generated.js';
export type { ConnectionState } from './connection-state.js';
export type { BackoffOptions } from './backoff.js';
export { type Cursor, type CursorStore, localStorageCursor } from './cursor.js';
export type { ClientEvents, HubEvents, Logged, MaintenanceNotice, Unsubscribe } from './events.js';
export { PlantAnalysisClient, type PlantAnalysisClientOptions } from './client.js';
export { ApiError, PlantAnalysisApi, type PlantAnalysisApiOptions, type Upload } from './api.js';
