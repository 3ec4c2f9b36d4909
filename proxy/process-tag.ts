/** Tells the decision ids of one process from those of another. */
import { randomBytes } from 'node:crypto';

export const PROCESS_TAG = randomBytes(5).toString('hex');
