import { whileSignedIn } from './signed-in.js';
import { Workspace } from './workspace.js';

whileSignedIn(Workspace);
