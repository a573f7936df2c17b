// Builds the pages into dist/: what the hub serves under names that change with the content,
// each beside its compressed copies; and the example with React into react-example/dist/.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build, transform } from 'esbuild';

const ROOT = dirname(fileURLToPath(import.meta.url));
const DIST = join(ROOT, 'dist');

const OPTIONS = {
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['chrome109', 'firefox115', 'safari16.4'],
  legalComments: 'none',
  logLevel: 'warning',
  define: { 'process.env.NODE_ENV': '"production"' },
};

clear(DIST);
mkdirSync(join(DIST, 'assets'));
const SHARED = { 'style.css': 'style.css', 'icon.svg': 'icon.svg' };
await page('index.html', { 'main.js': 'src/main.ts', ...SHARED });
await page('admin.html', { 'admin.js': 'src/admin/main.ts', 'admin.css': 'admin.css', ...SHARED });
await split('try.html', join(ROOT, '../../docs/clients/try.html'));
await reactExample();

/**
 * One HTML file: the parts that pages share are put in, and the names of its files are replaced by
 * those they are served by.
 */
async function page(name, files) {
  let html = readFileSync(join(ROOT, 'page', name), 'utf8');
  html = html.replace(/<!-- part: ([\w-]+) -->/g, (_, part) => readFileSync(join(ROOT, 'page/parts', `${part}.html`), 'utf8').trim());
  for (const [named, source] of Object.entries(files)) {
    const served = write(named, await content(join(ROOT, 'page', source)));
    html = html.replaceAll(`="${named}"`, `="${served}"`);
  }
  writeFileSync(join(DIST, name), html.replace(/\n\s+/g, '\n'));
}

/** A page that is one file elsewhere: the hub's policy allows no script or style within a page. */
async function split(name, source) {
  let html = readFileSync(source, 'utf8');
  const take = async (pattern, named, loader, reference) => {
    const [whole, inner] = pattern.exec(html);
    const { code } = await transform(inner, { loader, minify: true, target: OPTIONS.target });
    html = html.replace(whole, () => reference(write(named, Buffer.from(code))));
  };
  await take(/<style>([^]*?)<\/style>/, 'try.css', 'css', (path) => `<link rel="stylesheet" href="${path}" />`);
  await take(/<script>([^]*?)<\/script>/, 'try.js', 'js', (path) => `<script type="module" src="${path}"></script>`);
  writeFileSync(join(DIST, name), html.replace(/<!--[^]*?-->\n?/, '').replace(/\n\s+/g, '\n'));
}

async function content(source) {
  if (extname(source) === '.svg') return readFileSync(source);
  const { outputFiles } = await build({ ...OPTIONS, entryPoints: [source], write: false });
  return outputFiles[0].contents;
}

function write(named, bytes) {
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
  const extension = extname(named);
  const path = `/assets/${basename(named, extension)}-${hash}${extension}`;
  const file = join(DIST, path);
  writeFileSync(file, bytes);
  const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
  const gzip = gzipSync(bytes, { level: 9 });
  if (brotli.length < bytes.length) writeFileSync(`${file}.br`, brotli);
  if (gzip.length < bytes.length) writeFileSync(`${file}.gz`, gzip);
  console.log(`${path}  ${bytes.length} bytes, ${brotli.length} with Brotli, ${gzip.length} with gzip`);
  return path;
}

async function reactExample() {
  const folder = join(ROOT, 'react-example');
  const dist = join(folder, 'dist');
  clear(dist);
  await build({ ...OPTIONS, entryPoints: [join(folder, 'src/main.tsx')], outfile: join(dist, 'main.js'), jsx: 'automatic' });
  writeFileSync(join(dist, 'index.html'), readFileSync(join(folder, 'index.html')));
}

/** Everything but what keeps the folder in the repository. */
function clear(folder) {
  mkdirSync(folder, { recursive: true });
  for (const entry of readdirSync(folder)) {
    if (entry !== '.gitignore') rmSync(join(folder, entry), { recursive: true });
  }
}
