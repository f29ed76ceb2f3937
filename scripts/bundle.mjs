// Run in an app's folder: bundles src/main.ts into dist/main.js, and each src/NAME/main.ts into dist/NAME.js.
//
// A bundle holds everything it needs: it runs in a folder without node_modules, on Node 20 as well as on 24 (which strips no
// types inside node_modules, so that a deployed tree of TypeScript packages would not start there).

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { build } from 'esbuild'

const root = resolve(import.meta.dirname, '..')
const app = process.cwd()
const dist = join(app, 'dist')
const manifest = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8'))

/** What a page of documentation is made of; the source maps beside it are as big again and help nobody here. */
const DOCS_ASSETS = ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png']

// CommonJS inside an ES module: Express, pg and pino ask for Node's own modules by `require`.
const COMMONJS_BRIDGE = [
  "import { createRequire as bundledCreateRequire } from 'node:module'",
  "import { fileURLToPath as bundledFileURLToPath } from 'node:url'",
  'const require = bundledCreateRequire(import.meta.url)',
  'const __filename = bundledFileURLToPath(import.meta.url)',
  "const __dirname = bundledFileURLToPath(new URL('.', import.meta.url))",
].join('\n')

rmSync(dist, { recursive: true, force: true })
await bundle(findEntries())
copyDocs()
copyMigrations()

function findEntries() {
  const entries = existsSync(join(app, 'src/main.ts')) ? { main: 'src/main.ts' } : {}
  for (const name of readdirSync(join(app, 'src'))) {
    const entry = `src/${name}/main.ts`
    if (existsSync(join(app, entry))) entries[name] = entry
  }
  return entries
}

async function bundle(entryPoints) {
  await build({
    entryPoints,
    outdir: dist,
    absWorkingDir: app,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    banner: { js: COMMONJS_BRIDGE },
    // Optional accelerator of `pg`, asked for in a try block.
    external: ['pg-native'],
    // Stack traces name our own lines (node --enable-source-maps) without a second copy of every source.
    sourcemap: 'linked',
    sourcesContent: false,
    logLevel: 'warning',
  })
}

/** packages/http looks for `docs/` beside the bundle first, and in node_modules when it runs from source. */
function copyDocs() {
  if (manifest.dependencies?.['@seatbelt/http'] === undefined) return
  const resolveFromHttp = createRequire(join(root, 'packages/http/package.json'))
  const from = join(resolveFromHttp.resolve('swagger-ui-dist/package.json'), '..')
  mkdirSync(join(dist, 'docs'), { recursive: true })
  for (const name of [...DOCS_ASSETS, 'LICENSE']) cpSync(join(from, name), join(dist, 'docs', name))
}

/** packages/database takes the nearest `prisma/migrations` above it: in a bundle without a checkout around it, this one. */
function copyMigrations() {
  const migrations = join(root, 'prisma/migrations')
  if (manifest.dependencies?.['@seatbelt/database'] === undefined || !existsSync(migrations)) return
  cpSync(migrations, join(dist, 'prisma/migrations'), { recursive: true })
}
