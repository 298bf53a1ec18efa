import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { create } from 'tar'
import { describe, expect, test } from 'vitest'
import { listVolumesFrom } from '../../runbooks/list-volumes.ts'
import { readNamed } from '../../runbooks/volume-sources.ts'
import { showVolumes } from '../../src/views/volumes.ts'
import { scratch } from '../runbook/harness.ts'

const fixtures = new URL('./datastore/fixtures/', import.meta.url)
const handle = '15e4893e-1111-4222-8333-444455556666'
const volume = 'pvc-6f1c2a44-9d0e-4a51-8f4e-0c4b2f3a1d55'
const now = new AbortController().signal

function unpack(name: string, to: string): string {
  mkdirSync(dirname(to), { recursive: true })
  writeFileSync(to, gunzipSync(readFileSync(new URL(`${name}.gz`, fixtures))))
  return to
}

/** A node's kubelet directory, with what CSI leaves in it. */
function kubelet(volumeHandle = handle): string {
  const folder = join(scratch('kubelet'), 'var', 'lib', 'kubelet')
  const data = (pod: string, name: string, text: string) => {
    const place = join(folder, 'pods', pod, 'volumes', 'kubernetes.io~csi', name)
    mkdirSync(place, { recursive: true })
    writeFileSync(join(place, 'vol_data.json'), text)
  }
  const driverName = 'csi.san.synology.com'
  data('uid-1', volume, JSON.stringify({ driverName, volumeHandle, specVolID: volume }))
  data('uid-1', 'pvc-torn', '')
  data('uid-2', 'pvc-alone', JSON.stringify({ driverName, volumeHandle: 'other', specVolID: 'pvc-alone' }))
  mkdirSync(join(folder, '..', '..', 'log', 'pods', 'miniflux_web-0_uid-2'), { recursive: true })
  return folder
}

describe('sources', () => {
  test('kine, etcd, a k0s backup and a kubelet agree on one claim', async () => {
    const folder = scratch('sources')
    const kine = unpack('kine-pages-of-4096.db', join(folder, 'state.db'))
    const etcd = unpack('etcd-snapshot.db', join(folder, 'snap.db'))
    copyFileSync(kine, join(folder, 'kine-state-backup.db'))
    writeFileSync(join(folder, 'ca.key'), 'a key of the old cluster')
    const backup = join(folder, 'k0s_backup.tar.gz')
    await create({ file: backup, gzip: true, cwd: folder }, ['ca.key', 'kine-state-backup.db'])
    const from = [`kine:${kine}`, `etcd:${etcd}`, `backup:${backup}`, `kubelet:${kubelet()}`]
    const { volumes, sources } = await listVolumesFrom({ where: folder, from, offline: true, now })
    expect(volumes).toEqual([
      {
        claim: 'grafana/data',
        volume,
        luns: [{ lun: handle, sources: from }],
        // The same claim's older volume, deleted in each of the databases, was on the same LUN.
        formerly: [],
        verdict: 'settled',
        doubts: [],
        driver: 'csi.san.synology.com',
        protocol: 'iscsi',
        sizeBytes: 5 * 2 ** 30,
        storageClass: 'synology-iscsi',
        owner: 'StatefulSet grafana/grafana',
        says: '',
      },
      {
        volume: 'pvc-alone',
        luns: [{ lun: 'other', sources: from.slice(3) }],
        formerly: [],
        verdict: 'no-claim',
        doubts: [],
        driver: 'csi.san.synology.com',
        owner: 'Pod miniflux/web-0',
        says: 'no source says whose claim it was',
      },
    ])
    expect(sources.at(-1)?.remarks.join()).toMatch(/pvc-torn\/vol_data\.json says nothing/)
  })

  test('a contradiction shows both sides and is not decided', async () => {
    const folder = scratch('sources')
    const kine = unpack('kine-pages-of-4096.db', join(folder, 'state.db'))
    const listed = await listVolumesFrom({
      where: folder,
      from: [`kine:${kine}`, `kubelet:${kubelet('another-handle')}`],
      offline: true,
      now,
    })
    const grafana = listed.volumes.find(v => v.claim === 'grafana/data')
    expect(grafana?.verdict).toBe('contradiction')
    expect(grafana?.luns.map(l => l.lun).sort()).toEqual([handle, 'another-handle'].sort())
    const shown = showVolumes(listed, { columns: 80, colour: false })
    expect(shown).toContain('another-handle')
    expect(shown).toContain('Which LUN holds the data of grafana/data?')
    expect(listed.sources.map(s => s.volumes)).toEqual([1, 2])
    for (const line of shown.split('\n').filter(l => !l.includes('/'))) expect(line.length).toBeLessThan(81)
  })

  test.each([
    ['nonsense', 'source-unknown'],
    ['kine:', 'source-unknown'],
    ['kine:/nowhere', 'source-missing'],
    ['kubelet:/proc', 'database-damaged'],
    ['backup:/etc/hostname', 'database-damaged'],
    ['kine:/etc', 'source-unreadable'],
    ['iscsi:/etc/hostname', 'source-unreadable'],
  ])('%s is refused as %s', async (named, code) => {
    await expect(readNamed(named, now)).rejects.toMatchObject({ code })
  })

  test('a pod’s folder that a failing disk does not give back is told, and the others speak', async () => {
    const folder = kubelet()
    mkdirSync(join(folder, 'pods', 'uid-3', 'volumes'), { recursive: true })
    writeFileSync(join(folder, 'pods', 'uid-3', 'volumes', 'kubernetes.io~csi'), 'no folder')
    const { testimonies, remarks } = await readNamed(`kubelet:${folder}`, now)
    expect(testimonies.map(t => t.volume)).toEqual([volume, 'pvc-alone'])
    expect(remarks.join()).toMatch(/uid-3\S+ cannot be read: ENOTDIR/)
  })

  test('an archive without a datastore is refused, and nothing of it stays behind', async () => {
    const folder = scratch('sources')
    writeFileSync(join(folder, 'ca.key'), 'a key')
    const file = join(folder, 'b.tar.gz')
    execFileSync('tar', ['-czf', file, '-C', folder, 'ca.key'])
    await expect(readNamed(`backup:${file}`, now)).rejects.toMatchObject({
      message: expect.stringContaining('it holds neither kine-state-backup.db nor etcd-snapshot.db'),
    })
  })

  test('the example’s claims are told with what Git says of them', async () => {
    const { volumes } = await listVolumesFrom({ where: 'examples/home', from: [], offline: true, now })
    expect(volumes.map(v => [v.claim, v.strategy, v.luns.length])).toEqual([
      ['grafana/data', 'copy', expect.any(Number)],
      ['miniflux/data-postgres-0', 'adopt', expect.any(Number)],
      ['photos/library', 'adopt', expect.any(Number)],
      ['scratch/cache', 'new', 0],
    ])
  })
})
