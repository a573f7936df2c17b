import { whileSignedIn } from '../signed-in.js';
import { Operations } from './operations.js';

whileSignedIn(Operations);
