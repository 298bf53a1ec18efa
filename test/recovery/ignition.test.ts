import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { keepSources } from '../../runbooks/keep-sources.ts'
import type { KeptLab } from '../../src/lab/keeper.ts'
import { serverOf } from '../hosts/ignition/sources-at.ts'
import { applied, homeOf, rehearseAt } from './home.ts'

/** Adds a disk that is bound to a Tang server to a config of the home. */
function bind(file: string, url: string, thumbprint: string): void {
  const text = readFileSync(file, 'utf8')
  writeFileSync(
    file,
    text
      .replace('version: 1.1.0', 'version: 1.2.0-experimental')
      .replace(
        'storage:\n',
        `kernel_arguments: { should_exist: [rd.networkd=1] }\nstorage:\n  luks:\n    - name: root\n      device: /dev/nvme0n1p9\n      wipe_volume: true\n      clevis: { tang: [{ url: "${url}", thumbprint: ${thumbprint} }] }\n`,
      ),
  )
}

test('what would fail at the first boot keeps every machine as it is: Tang’s keys, its place, a hostname twice, another disk', async context => {
  const home = homeOf(context)
  const configs = join(home.file, '..', 'ignition')
  const hydrogen = join(configs, 'hydrogen.bu')
  const lithium = readFileSync(join(configs, 'lithium.bu'), 'utf8')
  writeFileSync(hydrogen, lithium)
  bind(join(configs, 'lithium.bu'), 'http://tang.example.net', 'pinned-by-the-person')
  bind(hydrogen, 'http://192.0.2.11:7500', 'another')
  const file = readFileSync(home.file, 'utf8')
  writeFileSync(home.file, file.replace('hydrogen.ign', 'hydrogen.bu'))

  const run = await rehearseAt(home, {
    // The lab's Tang has other keys than those that are pinned.
    where: where => ({ ...where, tang: { ...where.tang!, thumbprint: 'of-another-server' } }),
  })
  expect(run.result?.state).toBe('failed')
  const failed = Object.fromEntries(run.result?.failures.map(f => [f.step, f.fault]) ?? [])
  expect(failed['preflight/check-tang']).toMatchObject({
    code: 'tang-thumbprint-differs',
    message: expect.stringMatching(
      /tang\.example\.net \(\.\/ignition\/lithium\.bu\) signs with \S+, not with pinned-by-the-person[\s\S]*hydrogen is to be bound to http:\/\/192\.0\.2\.11:7500, which is 192\.0\.2\.11/,
    ),
  })
  expect(failed['preflight/check-ignition']).toMatchObject({
    code: 'ignition-hostname-twice',
    message: expect.stringContaining('the configs of lithium and hydrogen both call their machine lithium'),
  })
  expect(applied(run).filter(step => step.startsWith('hosts/'))).toEqual([])
})

test('Tang is asked from a machine of its own network where one answers, else from this computer', async context => {
  const asked = async (atFirst?: (lab: KeptLab) => Promise<unknown>) => {
    // Two runs of one home that begin in the same second have no order.
    const home = homeOf(context)
    bind(join(home.file, '..', 'ignition', 'lithium.bu'), 'http://192.0.2.53', 'pinned-by-the-person')
    const run = await rehearseAt(home, {
      only: ['preflight'],
      ...(atFirst ? { atFirst: async lab => void (await atFirst(lab)) } : {}),
      where: where => ({
        ...where,
        // The lab's own keys are what the person has pinned.
        tang: { url: where.tang!.url, thumbprint: where.tang!.thumbprint },
      }),
    })
    return run.events.flatMap(e =>
      e.code === 'step-done' && e.step === 'preflight/check-tang' ? [e.evidence] : [],
    )
  }
  expect(await asked()).toEqual([
    'http://192.0.2.53 (asked from lithium) answers with the keys that the configs pin',
  ])
  const off = async (lab: KeptLab) => {
    for (const name of ['lithium', 'hydrogen']) await lab.order('off', { name })
  }
  expect(await asked(off)).toEqual([
    'http://192.0.2.53 (asked from this computer) answers with the keys that the configs pin',
  ])
})

test('what the configs take from elsewhere: refused while nobody has it, kept in the kit, then taken from there', async context => {
  const home = homeOf(context)
  const folder = join(home.file, '..')
  const files: Record<string, string> = { '/tool': 'a tool' }
  const base = await serverOf(context, files)
  const config = join(folder, 'ignition', 'lithium.bu')
  writeFileSync(
    config,
    readFileSync(config, 'utf8').replace(
      'storage:\n  files:\n',
      `storage:\n  files:\n    - { path: /opt/tool, contents: { source: ${base}/tool } }\n    - { path: /opt/mine, contents: { source: "${base}/mine?of=\${CLOUDFLARE_API_TOKEN}" } }\n`,
    ),
  )
  writeFileSync(home.file, `${readFileSync(home.file, 'utf8')}\nkit: ./kit\n`)
  const checked = async () => {
    const run = await rehearseAt(home, {
      only: ['preflight'],
      // As in earnest: what is fetched is asked for.
      where: ({ web: _, ...where }) => where,
    })
    return [
      ...(run.result?.failures.map(f => f.fault.message) ?? []),
      ...run.events.flatMap(e =>
        e.code === 'step-done' && 'evidence' in e ? [`${e.step}: ${e.evidence}`] : [],
      ),
    ].join('\n')
  }
  delete files['/tool']
  files['/mine?of=made-up'] = 'mine'
  expect(await checked()).toContain(
    `the config of lithium takes /opt/tool from ${base}/tool, which does not answer (it answers 404), and the kit ./kit does not have it`,
  )
  files['/tool'] = 'a tool'
  const [kept] = (await keepSources(home.file, new AbortController().signal)).filter(
    k => k.host === 'lithium',
  )
  expect(kept).toEqual({
    host: 'lithium',
    fresh: [`${base}/tool (/opt/tool)`],
    pinned: [expect.stringMatching(/\/tool \(\/opt\/tool\): sha512-[0-9a-f]{128}$/)],
    left: [
      `${base}/mine?of=\${CLOUDFLARE_API_TOKEN} (/opt/mine): its address holds \${CLOUDFLARE_API_TOKEN}, which may be a secret`,
    ],
  })
  delete files['/tool']
  const said = await checked()
  expect(said).not.toContain('/opt/tool from')
  expect(said).toMatch(/\/opt\/mine from .*, which does not answer/)
  writeFileSync(config, readFileSync(config, 'utf8').replace(/^.*\/opt\/mine.*\n/m, ''))
  expect(await checked()).toMatch(
    /preflight\/check-ignition: .*; they take \/opt\/tool of lithium \(http:\/\/127\.0\.0\.1:\d+\/tool\) from the kit, inside the config, kept on \d{4}-\d\d-\d\d, not pinned by the config/,
  )
})
