import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { connectIpmi } from '../../src/hosts/power/ipmi.ts'
import type { IpmiAccess } from '../../src/hosts/power/ipmitool.ts'
import { connectRedfish } from '../../src/hosts/power/redfish.ts'
import { connectWakeOnLan } from '../../src/hosts/power/wake-on-lan.ts'
import { type PowerSubject, powerContract } from '../hosts/power/contract.ts'
import { labBmc, login, standInSubject } from '../hosts/power/lab-bmc.ts'
import { startEar } from './harness/bmc.ts'
import { running, until } from './harness/commands.ts'
import { type FileBmc, fileMachine, startFileBmc } from './harness/file-bmc.ts'
import { openNetwork } from './harness/network.ts'
import { describeReal, place } from './harness/place.ts'
import { startSushy } from './harness/sushy-emulator.ts'
import { makeVirtualMachine, type VirtualMachine } from './harness/virtual-machine.ts'

const signal = () => AbortSignal.timeout(60_000)
let count = 0
/** A folder and an address of its own for each BMC: all of 127.0.0.0/8 is here. */
const next = (name: string) => {
  count += 1
  return { folder: join(place().folder, `${name}-${count}`), address: `127.0.62.${count}` }
}

describeReal('Wake-on-LAN in a network', () => {
  test('the packet arrives as a broadcast, and wakes the machine whose MAC address is in it and no other', async () => {
    const network = openNetwork()
    const [sleeps, wakes] = [14, 15].map(number =>
      makeVirtualMachine(network, { name: `carbon${number}`, number, disks: [], memory: 64 }),
    ) as [VirtualMachine, VirtualMachine]
    const ears = [startEar(network, sleeps, 200), startEar(network, wakes, 201)]
    try {
      // An ear that is not there yet hears nothing; a person would press again, too.
      await until('the machine to wake', 180_000, async () => {
        await connectWakeOnLan({ where: 'here', mac: wakes.mac, pace: 0.01 }).writer.turnOn(signal())
        return wakes.isOn() || undefined
      })
      expect(sleeps.isOn()).toBe(false)
    } finally {
      // An ear that still hears would switch it on again.
      for (const ear of ears) await ear.close()
      wakes.press('off')
      network.close()
    }
  })
})

describeReal('power by IPMI', () => {
  const installed = ['ipmi_sim', 'ipmitool'].every(
    p => spawnSync('sh', ['-c', `command -v ${p}`]).status === 0,
  )
  const there = installed ? describe : describe.skip

  const start = () => {
    const { folder, address } = next('ipmi')
    return startFileBmc(folder, address)
  }
  const byIpmi = (bmc: Pick<FileBmc, 'address' | 'account' | 'password'>, access: Partial<IpmiAccess> = {}) =>
    connectIpmi({
      where: 'the BMC of lithium',
      address: bmc.address,
      port: 623,
      username: async () => bmc.account,
      password: async () => bmc.password,
      command: ['ipmitool'],
      pace: 0.05,
      ...access,
    }).writer

  there(`ipmitool and openipmi’s ipmi_sim${installed ? '' : ' (skipped: not installed)'}`, () => {
    powerContract('do what every way to switch a machine must do', async () => {
      const bmc = await start()
      return {
        power: byIpmi(bmc),
        identity: fileMachine,
        really: { on: bmc.on, bootsFrom: bmc.bootsFrom, media: () => undefined },
        words: { pxe: 'pxe', cd: 'cdrom', disk: 'default' },
        lasts: 'once',
        close: bmc.stop,
      }
    })

    const using = async (use: (bmc: FileBmc) => Promise<void>) => {
      const bmc = await start()
      await use(bmc).finally(bmc.stop)
    }

    test('a wrong password and a wrong name are told from silence', () =>
      using(async bmc => {
        for (const wrong of [{ password: 'wrong' }, { account: 'nobody' }])
          await expect(byIpmi({ ...bmc, ...wrong }).state(signal())).rejects.toMatchObject({
            code: 'power-login-refused',
          })
      }))

    test('nobody there: bounded, and may pass', async () => {
      const began = performance.now()
      const nobody = { address: next('nobody').address, account: 'admin', password: 'x' }
      await expect(byIpmi(nobody).state(signal())).rejects.toMatchObject({
        code: 'power-unreachable',
        transient: true,
      })
      expect(performance.now() - began).toBeLessThan(45_000)
    })

    test('a cipher suite that it does not know is told', () =>
      using(async bmc => {
        await expect(byIpmi(bmc, { cipher: 17 }).state(signal())).rejects.toMatchObject({
          code: 'power-refused',
          message: expect.stringContaining('cipher suites 17'),
        })
      }))
  })

  powerContract('the lab’s stand-in for ipmitool does the same', standInSubject)
})

describeReal('power by Redfish', () => {
  const found = 'sushy' in (safePlace() ?? {}) ? place().sushy : { missing: 'nothing was prepared' }
  const python = 'python' in found ? found.python : undefined
  const there = python === undefined ? describe.skip : describe
  const why = 'missing' in found ? ` (skipped: ${found.missing})` : ''

  there(`sushy-tools${why}`, () => {
    const subject = async (): Promise<PowerSubject> => {
      const { folder, address } = next('sushy')
      const bmc = await startSushy(python!, folder, address)
      const { writer, close } = connectRedfish({
        where: 'the BMC of lithium',
        url: bmc.url,
        fingerprint: bmc.fingerprint,
        username: async () => bmc.account,
        password: async () => bmc.password,
        machine: bmc.uuid,
        pace: 0.1,
      })
      const system = `/redfish/v1/Systems/${bmc.uuid}`
      const boot = async () =>
        ((await bmc.look(system)).Boot as Record<string, string>).BootSourceOverrideTarget
      return {
        power: writer,
        identity: { uuid: bmc.uuid, macs: [bmc.mac], model: 'Sushy Emulator' },
        really: {
          on: async () => (await bmc.look(system)).PowerState === 'On',
          bootsFrom: boot,
          media: async () => ((await bmc.look(`${system}/VirtualMedia/Cd`)).Image as string) || undefined,
        },
        words: { pxe: 'Pxe', cd: 'Cd', disk: 'Hdd' },
        // It says Continuous whatever it is sent, as libvirt's machines do and some real BMCs; see BootOrder.
        lasts: 'until-cleared',
        image: bmc.image,
        close: async () => {
          await close()
          await bmc.stop()
        },
      }
    }
    powerContract('does what every way to switch a machine must do', subject)
  })

  there(`OpenStack’s client${why}`, () => {
    test('finds its way in the lab’s BMC and switches its machine', async () => {
      const lab = await labBmc()
      try {
        const said = await running(
          python!,
          ['-c', client, `https://127.0.0.1:${lab.port}`, login.account, login.password],
          60_000,
        )
        expect(JSON.parse(said.trim().split('\n').at(-1)!)).toEqual({
          serial: lab.identity.serial,
          uuid: lab.identity.uuid.toUpperCase(),
          macs: lab.identity.macs.map(mac => mac.toUpperCase()),
          before: 'Off',
          after: 'On',
          boot: ['Once', 'Pxe', 'UEFI'],
          media: [true, 'http://192.0.2.1/x.iso'],
          refused: true,
        })
        expect(lab.machine.on()).toBe(true)
        expect(lab.machine.media()).toBeUndefined()
      } finally {
        await lab.close()
      }
    })
  })
})

const client = `
import json, sys, sushy, urllib3
from sushy import auth
urllib3.disable_warnings()
url, user, password = sys.argv[1:]
bmc = sushy.Sushy(url, auth=auth.SessionAuth(user, password), verify=False)
machine = bmc.get_system('/redfish/v1/Systems/1')
out = {'serial': machine.serial_number, 'uuid': machine.uuid, 'before': machine.power_state.value}
out['macs'] = list(machine.ethernet_interfaces.summary)
machine.set_system_boot_options(sushy.BOOT_SOURCE_TARGET_PXE, enabled=sushy.BOOT_SOURCE_ENABLED_ONCE)
machine.refresh()
out['boot'] = [machine.boot[k].value for k in ('enabled', 'target', 'mode')]
drive = machine.virtual_media.get_members()[0]
drive.insert_media('http://192.0.2.1/x.iso')
drive.refresh()
out['media'] = [drive.inserted, drive.image]
drive.eject_media()
machine.reset_system(sushy.RESET_ON)
machine.refresh()
out['after'] = machine.power_state.value
try:
    sushy.Sushy(url, auth=auth.SessionAuth(user, 'wrong'), verify=False).get_system('/redfish/v1/Systems/1')
    out['refused'] = False
except sushy.exceptions.AccessError:
    out['refused'] = True
print(json.dumps(out))
`

function safePlace() {
  try {
    return place()
  } catch {
    return undefined
  }
}
