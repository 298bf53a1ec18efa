// Builds dist/ anew, so that a deleted command cannot go on living there: first every module by tsc, then the program as
// a bundle in dist/bundle, one file a command, which starts in a third of the time.
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')
const bundle = join(dist, 'bundle')
const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

rmSync(dist, { recursive: true, force: true })
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
const compiled = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.json')], { stdio: 'inherit' })
if (compiled.status !== 0) process.exit(compiled.status ?? 1)

const manifest = await describeCommands()
await bundleProgram(manifest)
for (const command of Object.values(manifest.commands)) command.relativePath = [`${nameOf(command.id)}.js`]
writeFileSync(join(bundle, 'oclif.manifest.json'), JSON.stringify(manifest))

/** What oclif must know of every command, so that `--help` loads none of them. */
async function describeCommands() {
  const { Plugin } = await import('@oclif/core')
  const plugin = new Plugin({
    root,
    pjson,
    isRoot: true,
    type: 'core',
    ignoreManifest: true,
    errorOnManifestCreate: true,
  })
  await plugin.load()
  return plugin.manifest
}

async function bundleProgram({ commands }) {
  const { build } = await import('esbuild')
  // Most of what a start takes is opening hundreds of small files: what many processes load comes in few. The rest loads
  // as its authors packed it: ssh2, for one, looks for native code beside itself. A CommonJS package such as undici must
  // be imported statically, or it loses its named exports.
  const bundled = new Set([
    '@kubernetes/client-node',
    '@oclif/core',
    '@peculiar/x509',
    'execa',
    'reflect-metadata',
    'undici',
    'yaml',
    'zod',
  ])
  await build({
    entryPoints: {
      recover: join(root, 'bin', 'entry.js'),
      // Programs of their own, started by path: see src/lab/programs.ts.
      lab: join(dist, 'src', 'lab', 'main.js'),
      k0sctl: join(dist, 'src', 'lab', 'k0sctl', 'main.js'),
      ipmitool: join(dist, 'src', 'lab', 'ipmitool', 'main.js'),
      // The crash tests start these hundreds of times.
      'crash-child': join(dist, 'test', 'crash', 'child.js'),
      'workshop-child': join(dist, 'test', 'runbook', 'workshop-child.js'),
      'kube-child': join(dist, 'test', 'kube', 'child.js'),
      // Measured as the program is started.
      'hosts-child': join(dist, 'test', 'bench', 'hosts-child.js'),
      'volume-plan-child': join(dist, 'test', 'bench', 'volume-plan-child.js'),
      ...Object.fromEntries(Object.values(commands).map(c => [nameOf(c.id), join(root, ...c.relativePath)])),
    },
    outdir: bundle,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
    // oclif would load TypeScript to run .ts commands; ours are compiled.
    external: ['typescript', ...Object.keys(pjson.dependencies).filter(name => !bundled.has(name))],
    // CommonJS packages in an ES module still call require.
    banner: {
      js: "import { createRequire as createRequireOfBundle } from 'node:module'\nconst require = createRequireOfBundle(import.meta.url)",
    },
    plugins: [
      { name: 'own-places', setup: ownPlaces },
      { name: 'no-glob', setup: noGlob },
      { name: 'one-language', setup: oneLanguage },
    ],
  })
}

/** Every module goes on finding its neighbours (the lab's process is forked by path) where tsc put them. */
function ownPlaces(build) {
  build.onLoad({ filter: /[\\/]dist[\\/](commands|runbooks|src)[\\/].*\.js$/ }, async ({ path }) => {
    const text = await readFile(path, 'utf8')
    if (!text.includes('import.meta')) return { contents: text, loader: 'js' }
    const place = relative(bundle, path).replaceAll('\\', '/')
    const contents = [
      "import { fileURLToPath as pathOfOwn } from 'node:url'",
      `const ownUrl = new URL('${place}', import.meta.url)`,
      "const ownMeta = { url: ownUrl.href, filename: pathOfOwn(ownUrl), dirname: pathOfOwn(new URL('.', ownUrl)).slice(0, -1) }",
      text.replaceAll('import.meta', 'ownMeta'),
    ].join('\n')
    return { contents, loader: 'js' }
  })
}

/** oclif looks for commands by glob only where there is no manifest; loading that takes 3 ms of every start. */
function noGlob(build) {
  build.onLoad({ filter: /[\\/]node_modules[\\/]tinyglobby[\\/]/ }, () => ({
    contents:
      "exports.glob = () => { throw new Error('dist/bundle/oclif.manifest.json is missing; build again') }",
    loader: 'js',
  }))
}

/** zod has its messages in some sixty languages, and its English ones are used: the others are half of what it has a start load. */
function oneLanguage(build) {
  build.onLoad({ filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
    contents: "export { default as en } from './en.js'",
    loader: 'js',
  }))
}

function nameOf(id) {
  return `command-${id.replaceAll(':', '.')}`
}
