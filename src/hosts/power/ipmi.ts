import { notOffered, refused, withoutEffect } from './faults.ts'
import { type IpmiAccess, openIpmitool } from './ipmitool.ts'
import type { BootTarget, MachineIdentity, PowerWriter } from './power.ts'
import { type Order, switching } from './switching.ts'
import { until } from './until.ts'

const devices: Record<BootTarget, { order: string; shown: RegExp }> = {
  pxe: { order: 'pxe', shown: /Force PXE/ },
  cd: { order: 'cdrom', shown: /Force Boot from (?:CD\/DVD|remotely connected.*CD\/DVD)/i },
  disk: { order: 'disk', shown: /Force Boot from (?:default Hard-Drive|.*Hard-Drive)/i },
}

const orders: Record<Order, string> = {
  'turn it on': 'on',
  'take its power away': 'off',
  'shut it down': 'soft',
}

const bootLimitMs = 15_000

/** A machine behind an IPMI BMC, spoken to by the program ipmitool. Nothing is started before it is used. */
export function connectIpmi(access: IpmiAccess): { writer: PowerWriter; close(): Promise<void> } {
  const ipmi = openIpmitool(access)
  const { where, pace = 1, patience = 1 } = access

  const order = async (what: Order, signal: AbortSignal) => {
    await ipmi.run(['chassis', 'power', orders[what]], what, signal)
  }
  const bootParameter = async (signal: AbortSignal): Promise<string> => {
    const text = await ipmi.run(['chassis', 'bootparam', 'get', '5'], 'say where it boots from next', signal)
    return /Boot Device Selector\s*:\s*(.*)/.exec(text)?.[1]?.trim() ?? ''
  }
  const bootDevice = async (device: string, shown: RegExp, what: string, signal: AbortSignal) => {
    // Without this a BMC forgets the order when no boot follows within a minute; not every one knows it.
    await ipmi.run(['raw', '0x00', '0x08', '0x03', '0x08'], what, signal, 'may fail')
    const efi = device === 'none' || access.firmware === 'bios' ? [] : ['options=efiboot']
    await ipmi.run(['chassis', 'bootdev', device, ...efi], what, signal)
    const limitMs = bootLimitMs * patience
    let seen = ''
    // Whether the order is marked as valid is not asked: some never mark it.
    const so = await until(
      async () => {
        seen = await bootParameter(signal)
        return shown.test(seen) || undefined
      },
      { signal, limitMs, everyMs: 1_000 * pace },
    )
    if (!so) throw withoutEffect(where, what, `it shows “${seen || 'nothing'}”`, limitMs)
  }

  const reader = {
    kind: 'ipmi' as const,
    where,
    can: { turnOff: true, boot: ['pxe', 'cd', 'disk'] as const, media: false },
    async identity(signal: AbortSignal): Promise<MachineIdentity> {
      const what = 'say which machine it belongs to'
      // The MAC address that `lan print` tells is the BMC's own, and says nothing of the machine's.
      const fru = fruOf(await ipmi.run(['fru', 'print', '0'], what, signal, 'may fail'))
      const guid = await ipmi.run(['mc', 'guid', 'dump'], what, signal, 'may fail')
      const uuid = /System GUID\s*:\s*([0-9a-f]{32})/i.exec(guid)?.[1]?.toLowerCase()
      const serial = fru['Product Serial'] ?? fru['Chassis Serial'] ?? fru['Board Serial']
      const model = [fru['Product Manufacturer'], fru['Product Name']].filter(Boolean).join(' ')
      return {
        ...(serial ? { serial } : {}),
        ...(uuid === undefined ? {} : { uuid: uuid.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-') }),
        macs: [],
        ...(model ? { model } : {}),
      }
    },
    async state(signal: AbortSignal): Promise<'on' | 'off' | 'unknown'> {
      const what = 'say whether the machine is on'
      const text = await ipmi.run(['chassis', 'power', 'status'], what, signal)
      const state = /Chassis Power is (on|off)/i.exec(text)?.[1]?.toLowerCase()
      if (state === 'on' || state === 'off') return state
      throw refused(where, what, text.trim())
    },
  }

  const noMedia = async (): Promise<never> => {
    throw notOffered(where, 'put an image into a virtual drive', 'IPMI knows none')
  }
  const writer: PowerWriter = {
    ...reader,
    ...switching(reader, order, access),
    async bootNext(target, signal) {
      const device = devices[target]
      await bootDevice(device.order, device.shown, `boot from ${target} next`, signal)
      return { lasts: 'once' }
    },
    async clearBootNext(signal) {
      if (/No override/.test(await bootParameter(signal))) return
      await bootDevice('none', /No override/, 'take back the order for the next boot', signal)
    },
    insertMedia: noMedia,
    ejectMedia: noMedia,
  }
  return { writer, close: async () => {} }
}

/** `Name  : value` of `fru print`; what is missing or made of blanks is left out. */
function fruOf(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split('\n')
      .map(line => /^\s*([^:]+?)\s*:\s*(\S.*?)\s*$/.exec(line))
      .flatMap(match => (match ? [[match[1], match[2]]] : [])),
  ) as Record<string, string>
}
