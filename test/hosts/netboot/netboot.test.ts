import { expect, test } from 'vitest'
import { openNetboot } from '../../../src/hosts/netboot/netboot.ts'

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
