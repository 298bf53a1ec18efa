import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { listVolumesFrom } from '../../runbooks/list-volumes.ts'
import type { ShareBlueprint } from '../../src/lab/blueprint.ts'
import { showVolumes } from '../../src/views/volumes.ts'
import { root } from '../cli/program.ts'
import { connectedNas } from '../nas/connected-nas.ts'
import { pv, uuid, withPhotosOnNfs, withVolumeInGit } from '../recovery/nfs-home.ts'
import { scratch } from '../runbook/harness.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

const photos: ShareBlueprint = {
  uuid,
  pv,
  claim: 'photos/library',
  sizeBytes: 200 * 2 ** 30,
  clients: ['192.0.2.11', '192.0.2.12'],
  files: { 'letter.txt': 'as it was' },
}
const nobodys = { ...photos, uuid: 'nobodys', pv: pv.replaceAll('7', '8'), clients: [], files: {} }

/** What is listed of the example with its photos on a share, beside a NAS with these shares; nothing there is changed. */
async function listedWith(shares: ShareBlueprint[]) {
  const nas = await connectedNas(({ nas }) => {
    nas.luns = []
    nas.shares = shares
  })
  const home = join(scratch('home'), 'home')
  cpSync(join(root, 'examples/home'), home, { recursive: true })
  const file = join(home, 'recover.yaml')
  const written = readFileSync(file, 'utf8')
    .replace('https://192.0.2.17:5001', `https://127.0.0.1:${nas.port}`)
    .replace(/fingerprint: sha256:\S+/, `fingerprint: ${nas.emulator.fingerprint}`)
  writeFileSync(file, written)
  withPhotosOnNfs({ file })
  withVolumeInGit({ file })
  vi.stubEnv('RECOVER_SECRET_NAS_USERNAME', 'recover')
  vi.stubEnv('RECOVER_SECRET_NAS_PASSWORD', 'correct horse battery')
  const now = new AbortController().signal
  const listed = await listVolumesFrom({ where: file, from: [], offline: false, now })
  expect(nas.world.mutations.nas).toBe(0)
  return listed
}

test('a claim on a share is told with quota, what is in use and who may write to it; a share of nobody beside', async () => {
  const listed = await listedWith([photos, nobodys])
  expect(listed.volumes.find(v => v.claim === 'photos/library')).toMatchObject({
    protocol: 'nfs',
    luns: [{ lun: uuid, sources: ['git'] }],
    verdict: 'settled',
    sizeBytes: 200 * 2 ** 30,
    usedBytes: 9,
    strategy: 'adopt',
    mayWrite: ['192.0.2.11', '192.0.2.12'],
    says: 'adopt',
  })
  expect(listed.ownerless).toMatchObject([{ lun: 'nobodys', kind: 'share', protocol: 'smb' }])
  const shown = showVolumes(listed, { columns: 100, colour: false })
  expect(shown).toContain(`NFS share ${uuid}`)
  expect(shown).toContain('photos/library: 192.0.2.11, 192.0.2.12')
  expect(shown).toContain('SMB share k8s-csi-pvc-88')
})

test('a claim whose share is gone is no claim that may begin anew', async () => {
  const listed = await listedWith([nobodys])
  const row = listed.volumes.find(v => v.claim === 'photos/library')
  expect(row).toMatchObject({
    protocol: 'nfs',
    verdict: 'contradiction',
    says: `sources disagree: ${uuid} according to git, and the NAS has none of that uuid`,
    question: expect.stringMatching(/^Which share holds the data of photos\/library\?/),
  })
  expect(row?.mayWrite).toBeUndefined()
  expect(listed.ownerless?.map(o => o.lun)).toEqual(['nobodys'])
})
