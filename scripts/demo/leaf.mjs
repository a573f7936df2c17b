// Draws a wheat-like leaf with rust pustules and yellow halos on pale soil.
// The same seed draws the same leaf.
import { encodePng } from './png.mjs';

const SOIL = [186, 178, 166];
const LEAF = [72, 128, 52];
const VEIN = [104, 152, 78];
const HALO = [196, 186, 66];
const RUST = [176, 84, 22];

/** Returns the leaf as a PNG file. */
export function drawLeaf({ width = 960, height = 640, pustules = 40, seed = 7 } = {}) {
  const random = generator(seed);
  const spots = placePustules(pustules, width, height, random);
  const rgb = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const grain = (random() - 0.5) * 14;
      const colour = colourAt(x, y, width, height, spots);
      for (let c = 0; c < 3; c++) {
        rgb[(y * width + x) * 3 + c] = Math.max(0, Math.min(255, colour[c] + grain));
      }
    }
  }
  return encodePng(width, height, rgb);
}

function colourAt(x, y, width, height, spots) {
  const across = acrossLeaf(x, y, width, height);
  if (Math.abs(across) > 1) return SOIL;
  let colour = Math.abs(across) < 0.03 || Math.abs(Math.sin(across * 19)) < 0.06 ? VEIN : LEAF;
  for (const spot of spots) {
    const distance = Math.hypot((x - spot.x) / spot.length, (y - spot.y) / spot.width);
    if (distance <= 1) return RUST;
    if (distance <= 1.5) colour = HALO;
  }
  return colour;
}

// -1 at the leaf's upper edge, 0 on the midrib, 1 at the lower edge.
function acrossLeaf(x, y, width, height) {
  const along = (x / width - 0.04) / 0.92;
  if (along <= 0 || along >= 1) return 2;
  const middle = height * (0.5 + 0.06 * Math.sin(along * 3));
  const half = height * 0.34 * Math.sin(Math.PI * along) ** 0.6;
  return (y - middle) / half;
}

function placePustules(count, width, height, random) {
  const spots = [];
  for (let tries = 0; spots.length < count && tries < count * 50; tries++) {
    const x = width * (0.1 + 0.8 * random());
    const y = height * random();
    if (Math.abs(acrossLeaf(x, y, width, height)) > 0.85) continue;
    spots.push({ x, y, length: width * (0.008 + 0.012 * random()), width: height * (0.006 + 0.006 * random()) });
  }
  return spots;
}

// Mulberry32: small, and the same on every machine.
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
