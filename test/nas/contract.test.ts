import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectedNas } from './connected-nas.ts'
import { nasContract } from './contract.ts'

nasContract('the lab’s Synology', async () => {
  const { reader, writer, lun, emulator } = await connectedNas()
  const file = (uuid: string) => join(emulator.seam.filesOf(uuid), '2019/wedding.jpg')
  return {
    reader,
    writer,
    lun: { uuid: lun.uuid, name: `k8s-csi-${lun.pv}`, sizeBytes: lun.sizeBytes },
    async login(uuid, initiator) {
      try {
        emulator.seam.login(uuid, initiator, '127.0.0.1')
        return true
      } catch {
        return false
      }
    },
    logout: async (uuid, initiator) => emulator.seam.logout(uuid, initiator),
    write: (uuid, text) => writeFileSync(file(uuid), text),
    read: uuid => readFileSync(file(uuid), 'utf8'),
  }
})
