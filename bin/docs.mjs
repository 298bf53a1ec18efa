// Writes the documents that are made from the code: docs/errors.md, docs/exit-codes.md, docs/recover.schema.json.
// Bundles their maker anew, because dist/ may be of yesterday.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
// Inside node_modules, so that it finds the packages.
const folder = mkdtempSync(join(root, 'node_modules', '.recover-docs-'))
try {
  const maker = join(folder, 'documents.mjs')
  await build({
    entryPoints: [join(root, 'test', 'house', 'documents.ts')],
    outfile: maker,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    logLevel: 'warning',
  })
  const { documents } = await import(pathToFileURL(maker).href)
  for (const [path, text] of Object.entries(documents(root))) {
    if (read(path) === text) continue
    writeFileSync(join(root, path), text)
    process.stdout.write(`${path} written\n`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function read(path) {
  try {
    return readFileSync(join(root, path), 'utf8')
  } catch {
    return undefined
  }
}
