import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { Whereabouts } from '../../runbooks/connect.ts'
import { type Checkup, checkUpAt } from '../../runbooks/doctor.ts'
import { blueprintOf } from '../../runbooks/rehearsal/blueprint.ts'
import { whereaboutsOf } from '../../runbooks/rehearse.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import { compileButaneFile } from '../../src/hosts/butane/compile-file.ts'
import type { KeptLab } from '../../src/lab/keeper.ts'
import { World } from '../../src/lab/world.ts'
import { sealBundle } from '../../src/secrets/bundle.ts'
import { openSecrets } from '../../src/secrets/resolve.ts'
import { type Home, homeOf, labHere } from './home.ts'

const never = new AbortController().signal

/** Looks at a lab of the home, and says besides how often anything was changed there. */
async function lookedAt(
  home: Home,
  atFirst: (lab: KeptLab) => Promise<unknown> = async () => {},
  change: (where: Whereabouts) => Whereabouts = where => where,
): Promise<Checkup> {
  const cluster = loadCluster(home.file)
  const dir = join(home.state, 'lab')
  rmSync(dir, { recursive: true, force: true })
  World.create(dir, blueprintOf(cluster))
  const lab = await labHere(dir)
  try {
    await atFirst(lab)
    const changed = async () => {
      const { last: _, ...counts } = await lab.mutations()
      return counts
    }
    const before = await changed()
    const checkup = await checkUpAt(cluster, change(whereaboutsOf(lab, cluster)), { now: never })
    expect(await changed()).toEqual(before)
    return checkup
  } finally {
    await lab.order('down')
  }
}

const stateOf = (checkup: Checkup, step: string) => checkup.checks.find(c => c.step === step)
const warningsOf = (checkup: Checkup) => checkup.checks.flatMap(c => c.warnings)

/** A program of that name on PATH, for the time of the test. */
function onPath(test: { onTestFinished(end: () => void): void }, folder: string, script: string): string {
  const bin = join(folder, 'bin')
  mkdirSync(bin, { recursive: true })
  const file = join(bin, 'butane')
  writeFileSync(file, `#!/bin/sh\n${script}\n`)
  chmodSync(file, 0o755)
  const before = process.env.PATH
  process.env.PATH = `${bin}${delimiter}${before}`
  test.onTestFinished(() => {
    process.env.PATH = before
  })
  return file
}

/** The config of the home's Butane file, changed or packed in another way. */
function configOf(home: Home, change: (config: Record<string, unknown>) => void): string {
  const butane = join(home.file, '..', 'ignition', 'lithium.bu')
  writeFileSync(butane, readFileSync(butane, 'utf8').replace(/\$\{\w+\}/, 'of a test'))
  const { config } = compileButaneFile(butane, {
    filesDir: join(home.file, '..', 'ignition'),
  })
  const copy = JSON.parse(JSON.stringify(config)) as Record<string, unknown>
  change(copy)
  const file = join(home.state, 'printed.ign')
  mkdirSync(home.state, { recursive: true })
  writeFileSync(file, JSON.stringify(copy))
  return file
}

test('a home where all is well is recoverable, and nothing was changed by looking', async context => {
  const checkup = await lookedAt(homeOf(context))
  expect(checkup.checks.filter(c => c.state !== 'fine')).toEqual([])
  expect(checkup).toMatchObject({ cluster: 'home', recoverable: true })
  const steps = checkup.checks.map(c => c.step)
  for (const step of ['preflight/reach-nas', 'evidence/map-volumes', 'evidence/survey-hosts[hydrogen]'])
    expect(steps).toContain(step)
  // What a run would save before it wipes anything is no check.
  expect(steps.filter(s => s.startsWith('evidence/keep'))).toEqual([])
})

test('a host that does not answer is a warning; another disk than the one that is named stops a recovery', async context => {
  const home = homeOf(context)
  const off = await lookedAt(home, lab => lab.order('off', { name: 'hydrogen' }))
  expect(off.recoverable).toBe(true)
  expect(stateOf(off, 'evidence/survey-hosts[hydrogen]')).toMatchObject({ state: 'warns' })
  expect(warningsOf(off).map(w => w.code)).toContain('host-not-surveyed')

  const other = await lookedAt(home, lab => lab.order('swap-disk', { name: 'hydrogen', serial: 'ANOTHER-1' }))
  expect(other.recoverable).toBe(false)
  expect(stateOf(other, 'preflight/check-disk[hydrogen]')).toMatchObject({
    state: 'stops',
    code: 'disk-not-found',
    remedy: expect.stringMatching(/./),
  })
  expect(stateOf(other, 'preflight/check-disk[lithium]')).toMatchObject({ state: 'fine' })
})

describe('the sealed bundle, for the day when nothing else answers', () => {
  test.for([
    ['opens and holds all', 'a long passphrase', {}, []],
    ['does not open', 'another passphrase', {}, ['bundle-locked']],
    ['lacks a field', 'a long passphrase', { token: undefined }, ['bundle-lacks']],
  ] as const)('%s', async ([, passphrase, change, codes], context) => {
    const home = homeOf(context)
    const file = join(home.file, '..', 'secrets.age')
    const credentials = '{"verifier":"of a test","version":"2"}'
    const onepassword = { credentials, token: 'of a test, too', ...change }
    const content = JSON.parse(JSON.stringify({ onepassword })) as Record<string, Record<string, string>>
    writeFileSync(file, await sealBundle(content, { passphrase: 'a long passphrase', logN: 10 }))
    const secrets = openSecrets({
      from: ['environment', 'bundle'],
      file,
      env: {
        CLOUDFLARE_API_TOKEN: 'of a test as well',
        RECOVER_BUNDLE_PASSPHRASE: passphrase,
        RECOVER_SECRET_ONEPASSWORD_CREDENTIALS: credentials,
        RECOVER_SECRET_ONEPASSWORD_TOKEN: 'of a test, too',
      },
    })
    const checkup = await lookedAt(home, undefined, where => ({ ...where, secrets }))
    expect(checkup.checks.filter(c => c.state === 'stops')).toEqual([])
    expect(warningsOf(checkup).map(w => w.code)).toEqual(codes)
    expect(stateOf(checkup, 'preflight/check-secrets')?.says).toMatch(
      codes[0] === 'bundle-locked' ? /token$/ : /secrets\.age opens, written 0 days ago$/,
    )
    expect(JSON.stringify(checkup)).not.toContain('of a test')
  })
})

describe('a program butane on PATH is compared with the built-in compiler', () => {
  const compared = (checkup: Checkup) => {
    expect(checkup.recoverable).toBe(true)
    return stateOf(checkup, 'programs/compare-butane')!
  }

  test('the same config, packed otherwise: fine, and it says which one is used', async context => {
    const home = homeOf(context)
    const printed = configOf(home, config => {
      const { files } = (config as { storage: { files: { contents: Record<string, string> }[] } }).storage
      const { contents } = files[0]!
      const text = decodeURIComponent(contents.source!.replace(/^data:,/, ''))
      contents.source = `data:;base64,${gzipSync(text).toString('base64')}`
      contents.compression = 'gzip'
    })
    onPath(context, home.state, `cat >/dev/null; cat '${printed}'`)
    expect(compared(await lookedAt(home))).toMatchObject({
      state: 'fine',
      says: 'the built-in compiler is used, and the other gives the same config of ./ignition/lithium.bu',
    })
  })

  test('another config: where it first differs, which one is used, and how to use the other', async context => {
    const home = homeOf(context)
    const printed = configOf(home, config => {
      const { files } = (config as { storage: { files: { mode?: number }[] } }).storage
      files[0]!.mode = 0o777
    })
    const file = onPath(context, home.state, `cat >/dev/null; cat '${printed}'`)
    const [warning] = compared(await lookedAt(home)).warnings
    expect(warning).toMatchObject({
      code: 'butane-differs',
      message:
        './ignition/lithium.bu gives another config by the program butane on PATH than by the built-in compiler, first at $.storage.files.0.mode; recover.yaml says to use the built-in compiler',
      remedy: expect.stringContaining('name it in recover.yaml (tools.butane)'),
    })

    const yaml = readFileSync(home.file, 'utf8')
    writeFileSync(home.file, `${yaml}\ntools: { butane: ${file} }\n`)
    expect(compared(await lookedAt(home)).warnings).toMatchObject([
      {
        code: 'butane-differs',
        message: expect.stringMatching(
          /by the built-in compiler than by .*butane \(tools\.butane\), first at .*; recover\.yaml says to use .*butane \(tools\.butane\)$/,
        ),
      },
    ])
  })

  test.for([
    ['fails', "cat >/dev/null; echo 'error at $.x: bad' >&2; exit 1", 'butane-failed'],
    ['is no butane at all', 'cat >/dev/null; echo welcome', 'butane-strange'],
  ] as const)('one that %s is a warning, since it is not used', async ([, script, code], context) => {
    const home = homeOf(context)
    onPath(context, home.state, script)
    expect(compared(await lookedAt(home)).warnings).toMatchObject([
      { code, message: expect.stringContaining('the program butane on PATH, which is not used: ') },
    ])
  })
})
