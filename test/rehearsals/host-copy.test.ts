import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { NasState } from '../../src/lab/nas/state.ts'
import { World } from '../../src/lab/world.ts'
import { failuresOf, faultsOf, homeOf, labFolder, rehearseAt } from '../recovery/home.ts'

test('a file system that no host makes is refused before anything is made on the NAS for it', async context => {
  const home = homeOf(context)
  const change = (file: string, from: string, to: string) =>
    writeFileSync(file, readFileSync(file, 'utf8').replace(from, to))
  change(home.file, 'grafana/data: copy', 'grafana/data: host-copy')
  const storageClass = join(home.file, '../applications/synology-csi/storage-class.yaml')
  change(storageClass, 'fsType: btrfs', 'fsType: ext3')
  const run = await rehearseAt(home)
  expect(failuresOf(run)).toEqual({ 'volumes/copy-on-host[grafana/data]': 'file-system-unfit' })
  expect(faultsOf(run)[0]).toMatchObject({
    message: expect.stringContaining('grafana/data is to have the file system ext3'),
    remedy: expect.stringContaining('Choose another strategy'),
  })
  const { luns } = World.open(labFolder(home)).read<NasState>('nas')!
  expect(luns.filter(l => l.name.startsWith('k8s-csi-copy-')).map(l => l.name)).toEqual([])
})
