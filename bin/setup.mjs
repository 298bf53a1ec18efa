// Makes a fresh clone usable: installs what package-lock.json says and builds, and does neither when nothing changed.
// Only Node's own modules: it runs before anything is installed.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 20)) {
  process.stderr.write(`recover needs Node 20.20 or later; this is ${process.versions.node}\n`)
  process.exit(2)
}

const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .update(String(major))
  .digest('hex')
const installStamp = join(root, 'node_modules', '.recover-installed')
if (!fits(installStamp, lock)) {
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], 'installing what package-lock.json names')
  writeFileSync(installStamp, lock)
}

const sources = createHash('sha256').update(lock)
for (const folder of ['bin', 'commands', 'runbooks', 'src', 'test'])
  for (const file of files(join(root, folder))) sources.update(file).update(readFileSync(file))
sources.update(readFileSync(join(root, 'package.json'))).update(readFileSync(join(root, 'tsconfig.json')))
const built = sources.digest('hex')
const buildStamp = join(root, 'dist', '.recover-built')
if (!fits(buildStamp, built)) {
  run(process.execPath, [join(root, 'bin', 'build.mjs')], 'building')
  mkdirSync(join(root, 'dist'), { recursive: true })
  writeFileSync(buildStamp, built)
}

function fits(stamp, wanted) {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted
}

function* files(folder) {
  if (!existsSync(folder)) return
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name)
    if (statSync(path).isDirectory()) yield* files(path)
    else yield path
  }
}

function run(program, args, doing) {
  process.stderr.write(`recover: ${doing} …\n`)
  // npm is a script on some systems and a .cmd on others; a shell finds both.
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: program === 'npm',
  })
  if (error || status !== 0) {
    process.stderr.write(
      `recover: ${doing} failed${error ? `: ${error.message}` : ` with exit code ${status}`}\n`,
    )
    process.exit(1)
  }
}
