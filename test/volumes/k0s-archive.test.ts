import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readNamed } from '../../runbooks/volume-sources.ts'
import { readK0sArchive } from '../../src/volumes/sources/k0s-backup.ts'
import { scratch } from '../runbook/harness.ts'
import { archivedUid, k0sArchive } from './k0s-archive.ts'

const file = () => join(scratch('archive'), 'k0s_backup.tar.gz')

test('an archive tells of which cluster it is, of which release, who ran it, and how its API is reached', async () => {
  expect(await readK0sArchive(await k0sArchive(file()))).toMatchObject({
    sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    datastore: 'kine',
    clusterUid: archivedUid,
    nodes: expect.arrayContaining([
      { name: 'lithium', kubeletVersion: 'v1.34.1+k0s' },
      { name: 'hydrogen', kubeletVersion: 'v1.34.1+k0s' },
      { name: 'helium', kubeletVersion: 'v1.34.1+k0s' },
    ]),
    controllers: ['lithium'],
    hasKeys: true,
    api: { known: ['192.0.2.11', '192.0.2.11'] },
  })
})

test('as a source of the volume map it names the cluster, too', async () => {
  const named = `backup:${await k0sArchive(file())}`
  const { clusterUid, testimonies } = await readNamed(named, new AbortController().signal)
  expect(clusterUid).toBe(archivedUid)
  expect(testimonies.map(t => t.claim)).toContain('photos/library')
})

test('cut off anywhere it is damaged, and never a smaller cluster', async () => {
  const whole = readFileSync(await k0sArchive(file()))
  for (const part of [0.1, 0.5, 0.9, 0.999]) {
    const cut = file()
    writeFileSync(cut, whole.subarray(0, Math.floor(whole.length * part)))
    await expect(readK0sArchive(cut), String(part)).rejects.toMatchObject({ code: 'database-damaged' })
  }
})

test('one without the datastore, with half of it, or with a k0s.yaml that is none', async () => {
  await expect(
    readK0sArchive(await k0sArchive(file(), { without: 'kine-state-backup.db' })),
  ).rejects.toMatchObject({ code: 'database-damaged', message: expect.stringContaining('it holds neither') })
  await expect(
    readK0sArchive(await k0sArchive(file(), { database: Buffer.from('SQLite format 3\0') })),
  ).rejects.toMatchObject({ code: 'database-damaged' })
  await expect(readK0sArchive(await k0sArchive(file(), { config: 'spec: {' }))).rejects.toMatchObject({
    code: 'database-damaged',
    message: expect.stringContaining('its k0s.yaml is no YAML'),
  })
})
