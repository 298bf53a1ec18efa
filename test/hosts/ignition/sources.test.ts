import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import {
  type IgnitionConfig,
  inlineBytes,
  inlineText,
  parseIgnition,
} from '../../../src/hosts/ignition/config.ts'
import {
  placeSources,
  showPlace,
  sourcesOfText,
  writeSources,
} from '../../../src/hosts/ignition/place-sources.ts'
import { keepSource, keptSource, whySourceIsAway } from '../../../src/hosts/ignition/source-kit.ts'
import { allSources, findSources } from '../../../src/hosts/ignition/sources.ts'
import { Fault } from '../../../src/runbook/fault.ts'
import { scratch } from '../../runbook/harness.ts'
import { serverOf } from './sources-at.ts'

const never = new AbortController().signal
const sha512 = (bytes: string | Buffer) => `sha512-${createHash('sha512').update(bytes).digest('hex')}`

function config(more: Partial<IgnitionConfig>, merge?: { source: string }[]): IgnitionConfig {
  const text = JSON.stringify({
    ...more,
    ignition: { version: '3.4.0', ...(merge ? { config: { merge } } : {}) },
  })
  return parseIgnition(text, 'a.ign')
}

const files = (...of: object[]): Partial<IgnitionConfig> => ({ storage: { files: of } })

describe('the kit keeps what a config takes from elsewhere', () => {
  test('by its hash, through a redirection, packed or not; once', async context => {
    const packed = gzipSync('the program')
    const base = await serverOf(context, { '/a': 'to:/b', '/b': 'the program', '/c.gz': packed })
    const kit = scratch('kit')
    const one = { source: `${base}/a`, verification: { hash: sha512('the program') } }
    expect(keptSource(kit, one)).toBeUndefined()
    const first = await keepSource(kit, one, '/opt/a', never)
    expect(first).toMatchObject({ fresh: true, kept: { bytes: 11, url: `${base}/a` } })
    expect(first.kept.file).toMatch(/\/ignition\/sha256-[0-9a-f]{64}$/)
    expect(await keepSource(kit, one, '/opt/a', never)).toMatchObject({ fresh: false })
    // Ignition hashes what it unpacks.
    const two = { source: `${base}/c.gz`, compression: 'gzip', verification: { hash: sha512('the program') } }
    const { kept } = await keepSource(kit, two, '/opt/c', never)
    expect(readFileSync(kept.file)).toEqual(packed)
    // The same address with another hash in the config is another thing.
    expect(keptSource(kit, { ...one, verification: { hash: sha512('a newer one') } })).toBeUndefined()
    // Bytes that rotted are none.
    writeFileSync(first.kept.file, 'the prograM')
    expect(keptSource(kit, one)).toBeUndefined()
  })

  test('not what does not fit its hash, and not what is not there', async context => {
    const base = await serverOf(context, { '/a': 'something else' })
    const kit = scratch('kit')
    const wrong = { source: `${base}/a`, verification: { hash: sha512('the program') } }
    await expect(keepSource(kit, wrong, '/opt/a', never)).rejects.toMatchObject({
      code: 'ignition-source-hash-differs',
      message: expect.stringContaining(sha512('something else')),
    })
    await expect(keepSource(kit, { source: `${base}/gone` }, '/opt/b', never)).rejects.toMatchObject({
      code: 'kit-fetch-failed',
      message: expect.stringMatching(/\/gone \(\/opt\/b\) could not be put into the kit: it answers 404/),
    })
    expect(readdirSync(join(kit, 'ignition'))).toEqual([])
    expect(await whySourceIsAway(`${base}/a`, never)).toBeUndefined()
    expect(await whySourceIsAway(`${base}/gone`, never)).toBe('it answers 404')
    expect(await whySourceIsAway('http://127.0.0.1:1/', never)).toMatch(/ECONNREFUSED/)
  })

  test('never what may be a secret', () => {
    const tree = findSources(
      config({
        storage: {
          luks: [{ name: 'root', keyFile: { source: 'https://example.net/key' } }],
          files: [
            { path: '/a', contents: { source: 'https://me:word@example.net/a' } },
            { path: '/b', contents: { source: 'https://example.net/b?X-Amz-Signature=1' } },
            {
              path: '/c',
              contents: {
                source: 'https://example.net/c',
                httpHeaders: [{ name: 'Authorization', value: 'Bearer x' }],
              },
            },
            { path: '/d', contents: { source: 'tftp://example.net/d' } },
            { path: '/e', contents: { source: 'https://example.net/e?version=2' } },
          ],
        },
      }),
      scratch('kit'),
      'a.ign',
    )
    expect(Object.fromEntries(allSources(tree).map(s => [s.what, s.never]))).toEqual({
      '/a': 'its address holds a password',
      '/b': 'its address seems to hold a password',
      '/c': 'it is asked for with headers, which may be a password',
      '/d': 'it is fetched by tftp, not by HTTP',
      '/e': undefined,
      'the key of root': 'it is the key of a disk',
    })
  })
})

describe('what the kit has is put where the machine gets it', () => {
  test('inside the config, merged configs seen through, each with a hash', async context => {
    const inner = JSON.stringify({
      ignition: { version: '3.4.0' },
      ...files({ path: '/deep', contents: { source: 'BASE/deep' } }),
    })
    const texts: Record<string, string> = { '/a': 'A', '/deep': 'deep' }
    const base = await serverOf(context, texts)
    texts['/inner.ign'] = inner.replace('BASE', base)
    const kit = scratch('kit')
    // A config that lies inside as butane writes it, packed, and one that lies elsewhere.
    const packed = gzipSync(
      JSON.stringify({
        ignition: { version: '3.4.0' },
        ...files({ path: '/x', contents: { source: `${base}/a` } }),
      }),
    )
    const outer = config(files({ path: '/a', contents: { source: `${base}/a` } }), [
      { source: `data:;base64,${packed.toString('base64')}`, ...{ compression: 'gzip' } },
      { source: `${base}/inner.ign`, ...{ verification: { hash: sha512(texts['/inner.ign']) } } },
    ])
    const before = JSON.stringify(outer)
    for (const pass of [1, 2])
      for (const { resource, what } of allSources(findSources(outer, kit, 'a.ign')))
        await keepSource(kit, { ...resource, source: resource.source! }, `${what} ${pass}`, never)
    const tree = findSources(outer, kit, 'a.ign')
    const placed = placeSources(tree, false)
    expect(placed.map(p => [p.found.what, p.place])).toEqual([
      ['a merged config', 'inside'],
      [`/deep of ${base}/inner.ign`, 'inside'],
      ['/a', 'inside'],
      ['/x of a config inside it', 'inside'],
    ])
    expect(showPlace(placed[2]!)).toMatch(
      /^from the kit, inside the config, kept on \d{4}-\d\d-\d\d, not pinned/,
    )
    const written = writeSources(tree, placed, () => 'none')
    expect(JSON.stringify(written)).not.toContain('http')
    expect(written.storage?.files?.[0]?.contents?.verification?.hash).toBe(sha512('A'))
    const [packedNow, innerNow] = written.ignition.config!.merge!.map(
      r => JSON.parse(inlineText(r)!) as IgnitionConfig,
    )
    expect(inlineText(packedNow?.storage?.files?.[0]?.contents)).toBe('A')
    expect(inlineText(innerNow?.storage?.files?.[0]?.contents)).toBe('deep')
    expect(written.ignition.config!.merge![1]!.verification).toBeUndefined()
    expect(JSON.stringify(outer)).toBe(before)
  })

  test('from this computer where there is no more room, smallest inside first; from nowhere else without a word', async context => {
    const large = Buffer.alloc(6000, 'x')
    const base = await serverOf(context, { '/large': large, '/small': 'small' })
    const kit = scratch('kit')
    const both = config(
      files(
        { path: '/large', contents: { source: `${base}/large` } },
        { path: '/small', contents: { source: `${base}/small` } },
      ),
    )
    for (const { resource, what } of allSources(findSources(both, kit, 'a.ign')))
      await keepSource(kit, { ...resource, source: resource.source! }, what, never)
    const tree = findSources(both, kit, 'a.ign')
    const served = placeSources(tree, true, 8000)
    expect(served.map(p => p.place)).toEqual(['served', 'inside'])
    const written = writeSources(tree, served, kept => `http://192.0.2.5:8473/t/${kept.sha256}`)
    expect(written.storage?.files?.[0]?.contents).toEqual({
      source: `http://192.0.2.5:8473/t/${createHash('sha256').update(large).digest('hex')}`,
      verification: { hash: sha512(large) },
    })
    expect(inlineBytes(written.storage?.files?.[1]?.contents)?.toString()).toBe('small')
    const alone = placeSources(findSources(both, kit, 'a.ign'), false, 8000)
    expect(alone.map(showPlace)[0]).toMatch(
      /^from the network at the first boot: the kit has it, and with its 6000 bytes the config would be larger than/,
    )
    // Whoever serves something newer than what was kept is not believed.
    expect(
      writeSources(findSources(both, kit, 'a.ign'), [], () => '').storage?.files?.[0]?.contents?.verification,
    ).toEqual({ hash: sha512(large) })
  })

  test('configs that merge themselves come to an end', async context => {
    const texts: Record<string, string> = {}
    const base = await serverOf(context, texts)
    texts['/me'] = JSON.stringify({
      ignition: { version: '3.4.0', config: { merge: [{ source: `${base}/me` }] } },
    })
    const kit = scratch('kit')
    await keepSource(kit, { source: `${base}/me` }, 'a merged config', never)
    const found = () => findSources(config({}, [{ source: `${base}/me` }]), kit, 'a.ign')
    expect(found).toThrow(Fault)
    expect(found).toThrow('a.ign merges configs that merge others, more than 8 deep')
    expect(existsSync(kit)).toBe(true)
  })

  test('a text that merges what is no config is told as that, and nothing else is said of it', () => {
    const text = JSON.stringify({
      ignition: {
        version: '3.4.0',
        config: { merge: [{ source: 'data:,%7Bno' }, { source: 'data:;base64,%' }] },
      },
    })
    expect(sourcesOfText(text, 'a.bu', undefined)).toEqual({
      sources: [],
      unknown: expect.stringMatching(/^a config inside it, which a\.bu merges, is not an Ignition config/),
    })
  })
})
