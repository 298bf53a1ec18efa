import { chmodSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { type Checkup, checkUpAt } from '../../runbooks/doctor.ts'
import { blueprintOf } from '../../runbooks/rehearsal/blueprint.ts'
import { whereaboutsOf } from '../../runbooks/rehearse.ts'
import type { Whereabouts } from '../../runbooks/whereabouts.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import { compileButaneFile } from '../../src/hosts/butane/compile-file.ts'
import type { KeptLab } from '../../src/lab/keeper.ts'
import { World } from '../../src/lab/world.ts'
import { sealBundle } from '../../src/secrets/bundle.ts'
import { openSecrets } from '../../src/secrets/resolve.ts'
import { type Home, homeOf, labHere, settleVolumes } from './home.ts'

const never = new AbortController().signal

/** Looks as often as is wanted at one lab of the home; nothing there may be changed by that. */
type Look = (change?: (where: Whereabouts) => Whereabouts) => Promise<Checkup>

async function inLabOf(home: Home, part: (look: Look, lab: KeptLab) => Promise<void>): Promise<void> {
  const dir = join(home.state, 'lab')
  World.create(dir, blueprintOf(loadCluster(home.file)))
  const lab = await labHere(dir)
  const changed = async () => {
    const { last: _, ...counts } = await lab.mutations()
    return counts
  }
  try {
    await part(async (change = where => where) => {
      const cluster = loadCluster(home.file)
      const before = await changed()
      const checkup = await checkUpAt(cluster, change(whereaboutsOf(lab, cluster)), { now: never })
      expect(await changed()).toEqual(before)
      return checkup
    }, lab)
  } finally {
    await lab.order('down')
  }
}

const stateOf = (checkup: Checkup, step: string) => checkup.checks.find(c => c.step === step)
const codesOf = (checkup: Checkup) => checkup.checks.flatMap(c => c.warnings.map(w => w.code))

/** A program of that name on PATH, for the time of the test. */
function onPath(test: { onTestFinished(end: () => void): void }, folder: string): string {
  const bin = join(folder, 'bin')
  mkdirSync(bin, { recursive: true })
  const file = join(bin, 'butane')
  writeFileSync(file, '')
  chmodSync(file, 0o755)
  const before = process.env.PATH
  process.env.PATH = `${bin}${delimiter}${before}`
  test.onTestFinished(() => {
    process.env.PATH = before
  })
  return file
}

/** The config of the home's Butane file, changed or packed in another way. */
function configOf(
  home: Home,
  change: (files: { mode?: number; contents: Record<string, string> }[]) => void,
): string {
  const butane = join(home.file, '..', 'ignition', 'lithium.bu')
  writeFileSync(butane, readFileSync(butane, 'utf8').replace(/\$\{\w+\}/, 'of a test'))
  const { config } = compileButaneFile(butane, {
    filesDir: join(home.file, '..', 'ignition'),
  })
  const copy = JSON.parse(JSON.stringify(config)) as { storage: { files: Parameters<typeof change>[0] } }
  change(copy.storage.files)
  const file = join(home.state, 'printed.ign')
  mkdirSync(home.state, { recursive: true })
  writeFileSync(file, JSON.stringify(copy))
  return file
}

test('a home where all is well is recoverable; a host that does not answer is a warning; another disk stops a recovery', async context => {
  const home = homeOf(context)
  settleVolumes(home)
  await inLabOf(home, async (look, lab) => {
    const well = await look()
    expect(well.checks.filter(c => c.state !== 'fine')).toEqual([])
    expect(well).toMatchObject({ cluster: 'home', recoverable: true })
    const steps = well.checks.map(c => c.step)
    for (const step of ['preflight/reach-nas', 'evidence/map-volumes', 'evidence/survey-hosts[hydrogen]'])
      expect(steps).toContain(step)
    // What a run would save before it wipes anything is no check.
    expect(steps.filter(s => s.startsWith('evidence/keep'))).toEqual([])

    await lab.order('swap-disk', { name: 'hydrogen', serial: 'ANOTHER-1' })
    const other = await look()
    expect(other.recoverable).toBe(false)
    expect(stateOf(other, 'preflight/check-disk[hydrogen]')).toMatchObject({
      state: 'stops',
      code: 'disk-not-found',
      remedy: expect.stringMatching(/./),
    })
    expect(stateOf(other, 'preflight/check-disk[lithium]')).toMatchObject({ state: 'fine' })

    await lab.order('off', { name: 'hydrogen' })
    const off = await look()
    expect(off.recoverable).toBe(true)
    expect(stateOf(off, 'evidence/survey-hosts[hydrogen]')).toMatchObject({ state: 'warns' })
    expect(codesOf(off)).toContain('host-not-surveyed')
  })
})

test('the sealed bundle, for the day when nothing else answers: whether it opens, what it lacks, how old it is', async context => {
  const home = homeOf(context)
  const file = join(home.file, '..', 'secrets.age')
  const onepassword = { credentials: '{"verifier":"of a test","version":"2"}', token: 'of a test, too' }
  const sealed = async (content: Record<string, Record<string, string>>) =>
    writeFileSync(file, await sealBundle(content, { passphrase: 'a long passphrase', logN: 10 }))
  const opening = (passphrase: string) => (where: Whereabouts) => ({
    ...where,
    secrets: openSecrets({
      from: ['environment', 'bundle'],
      file,
      env: {
        CLOUDFLARE_API_TOKEN: 'of a test as well',
        RECOVER_BUNDLE_PASSPHRASE: passphrase,
        RECOVER_SECRET_ONEPASSWORD_CREDENTIALS: onepassword.credentials,
        RECOVER_SECRET_ONEPASSWORD_TOKEN: onepassword.token,
      },
    }),
  })
  await inLabOf(home, async look => {
    const said = async (passphrase: string) => {
      const checkup = await look(opening(passphrase))
      expect(checkup.checks.filter(c => c.state === 'stops')).toEqual([])
      expect(JSON.stringify(checkup)).not.toContain('of a test')
      return [codesOf(checkup), stateOf(checkup, 'preflight/check-secrets')?.says]
    }
    await sealed({ onepassword })
    expect(await said('a long passphrase')).toEqual([
      [],
      expect.stringMatching(/secrets\.age opens, written 0 days ago$/),
    ])
    expect(await said('another passphrase')).toEqual([['bundle-locked'], expect.stringMatching(/token$/)])
    await sealed({ onepassword: { credentials: onepassword.credentials } })
    const then = new Date(Date.now() - 400 * 24 * 3_600_000)
    utimesSync(file, then, then)
    expect(await said('a long passphrase')).toEqual([
      ['bundle-lacks', 'bundle-old'],
      expect.stringMatching(/written 400 days ago$/),
    ])
  })
})

test('the kit: what it lacks, and how long it has lain there', async context => {
  const home = homeOf(context)
  const folder = join(home.file, '..')
  mkdirSync(join(folder, 'boot', 'cilium'), { recursive: true })
  writeFileSync(join(folder, 'boot', 'kustomization.yaml'), 'resources: [cilium]\n')
  writeFileSync(
    join(folder, 'boot', 'cilium', 'kustomization.yaml'),
    'helmCharts: [{ name: cilium, version: 1.18.2, repo: https://helm.cilium.io, releaseName: cilium }]\n',
  )
  const yaml = readFileSync(home.file, 'utf8').replace(
    / {2}bootstrap: #[\s\S]*?\n {2}applications/,
    '  bootstrap: ./boot\n  applications',
  )
  writeFileSync(home.file, yaml)
  await inLabOf(home, async look => {
    const said = async (kit: string) => {
      writeFileSync(home.file, `${yaml}\n${kit}`)
      const check = stateOf(await look(), 'preflight/check-manifests')!
      return [check.warnings.map(w => `${w.code}: ${w.message}`), check.says]
    }
    const needs = 'the bootstrap needs the network for chart cilium 1.18.2 of https://helm.cilium.io'
    expect((await said(''))[0]).toEqual([`kit-lacks: ${needs}: recover.yaml names no kit`])
    expect((await said('kit: ./kit\n'))[0]).toEqual([`kit-lacks: ${needs}: the kit does not hold it`])

    const chart = join(folder, 'kit', 'charts', 'cilium-1.18.2', 'cilium')
    mkdirSync(chart, { recursive: true })
    writeFileSync(join(chart, 'Chart.yaml'), 'name: cilium\nversion: 1.18.2\n')
    expect(await said('kit: ./kit\n')).toEqual([
      [],
      expect.stringMatching(/in the kit, the oldest for 0 days$/),
    ])
    const then = new Date(Date.now() - 200 * 24 * 3_600_000)
    utimesSync(chart, then, then)
    expect(await said('kit: ./kit\n')).toEqual([
      ['kit-old: a part of the kit ./kit has lain there for 200 days'],
      expect.stringMatching(/the oldest for 200 days$/),
    ])
  })
})

test('a program butane on PATH is compared with the built-in compiler, and it says which one is used', async context => {
  const home = homeOf(context)
  const compared = async (look: Look) => {
    const checkup = await look()
    expect(checkup.recoverable).toBe(true)
    return stateOf(checkup, 'programs/compare-butane')!
  }
  const file = onPath(context, home.state)
  const says = (script: string) => writeFileSync(file, `#!/bin/sh\ncat >/dev/null\n${script}\n`)
  const prints = (change: (files: { mode?: number; contents: Record<string, string> }[]) => void) =>
    says(`cat '${configOf(home, change)}'`)
  await inLabOf(home, async look => {
    // The same config, packed otherwise.
    prints(([first]) => {
      const { contents } = first!
      const text = decodeURIComponent(contents.source!.replace(/^data:,/, ''))
      contents.source = `data:;base64,${gzipSync(text).toString('base64')}`
      contents.compression = 'gzip'
    })
    expect(await compared(look)).toMatchObject({
      state: 'fine',
      says: 'the built-in compiler is used, and the other gives the same config of ./ignition/lithium.bu',
    })
    // What is not used stops nothing.
    const not = 'the program butane on PATH, which is not used: '
    says("echo 'error at $.x: bad' >&2; exit 1")
    expect((await compared(look)).warnings).toMatchObject([
      { code: 'butane-failed', message: expect.stringContaining(not) },
    ])
    says('echo welcome')
    expect((await compared(look)).warnings).toMatchObject([
      { code: 'butane-strange', message: expect.stringContaining(not) },
    ])
    // Another config.
    prints(([first]) => {
      first!.mode = 0o777
    })
    expect((await compared(look)).warnings).toMatchObject([
      {
        code: 'butane-differs',
        message:
          './ignition/lithium.bu gives another config by the program butane on PATH than by the built-in compiler, first at $.storage.files.0.mode; recover.yaml says to use the built-in compiler',
        remedy: expect.stringContaining('name it in recover.yaml (tools.butane)'),
      },
    ])
    writeFileSync(home.file, `${readFileSync(home.file, 'utf8')}\ntools: { butane: ${file} }\n`)
    expect((await compared(look)).warnings).toMatchObject([
      {
        code: 'butane-differs',
        message: expect.stringMatching(
          /by the built-in compiler than by .*butane \(tools\.butane\), first at .*; recover\.yaml says to use .*butane \(tools\.butane\)$/,
        ),
      },
    ])
  })
})
