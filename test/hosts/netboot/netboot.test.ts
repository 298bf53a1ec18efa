import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ServedSources } from '../../../src/hosts/install/served-sources.ts'
import { openNetboot } from '../../../src/hosts/netboot/netboot.ts'
import { scratch } from '../../runbook/harness.ts'

test('what a killed process left is ended, and never the answers to a machine that is booting now', async () => {
  const said: string[] = []
  const netboot = openNetboot({
    address: '127.0.0.1',
    port: 0,
    dhcp: {
      lacks: () => undefined,
      answer: async machines => void said.push(`answer ${machines.map(m => m.mac).join()}`),
      forget: async () => void said.push('forget'),
    },
  })
  try {
    await netboot.forget()
    const mac = '52:54:00:aa:bb:01'
    const order = {
      kernel: '/k',
      kernelSha256: '',
      initrd: '/i',
      initrdSha256: '',
      arguments: '',
      config: '{}',
    }
    const armed = await netboot.arm({ mac, ...order })
    // Another host of the run is disarmed meanwhile.
    await netboot.forget()
    await armed.disarm()
    await netboot.forget()
    expect(said).toEqual(['forget', `answer ${mac}`, 'answer ', 'forget'])
  } finally {
    await netboot.close()
  }
})

test('a copy of the kit is served at the same address by whoever goes on after a crash, until it is withdrawn', async () => {
  const folder = scratch('sources')
  const file = join(folder, 'copy')
  writeFileSync(file, 'what a first boot fetches')
  const dhcp = { lacks: () => undefined, answer: async () => undefined, forget: async () => undefined }
  const secret = Buffer.alloc(32, 7)
  const copy = { file, sha256: 'a'.repeat(64) }
  const first = openNetboot({ address: '127.0.0.1', port: 0, dhcp })
  const { urlOf, probe } = await new ServedSources(folder, secret).serve('lithium', [copy], first)
  const url = new URL(urlOf(copy))
  const get = (url: URL | string) => fetch(url, { headers: { connection: 'close' } })
  expect(await (await get(url)).text()).toBe('what a first boot fetches')
  expect((await get(probe)).status).toBe(200)
  await first.close()

  const second = openNetboot({ address: '127.0.0.1', port: Number(url.port), dhcp })
  try {
    const others = new ServedSources(folder, secret)
    await others.again('hydrogen', second)
    await others.again('lithium', second)
    expect(await (await get(url)).text()).toBe('what a first boot fetches')
    others.withdraw('lithium')
    expect((await get(url)).status).toBe(404)
    await others.again('lithium', second)
    expect((await get(url)).status).toBe(404)
    // Another run has other addresses, and nobody can tell them from these.
    const served = await new ServedSources(folder, Buffer.alloc(32, 8)).serve('lithium', [copy], second)
    expect(served.urlOf(copy)).not.toBe(url.href)
  } finally {
    await second.close()
  }
})
