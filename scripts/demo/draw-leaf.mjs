// Writes a drawn leaf: node draw-leaf.mjs leaf.png
import { writeFileSync } from 'node:fs';
import { drawLeaf } from './leaf.mjs';

const [path] = process.argv.slice(2);
if (!path) {
  console.error('usage: node draw-leaf.mjs <file.png>');
  process.exit(2);
}
writeFileSync(path, drawLeaf());
