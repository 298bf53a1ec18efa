/** What a BMC says about the machine that it belongs to: compared before its power is touched. */
export interface MachineIdentity {
  /** Serial number of the machine (DMI), as the BMC reports it; absent where it does not. */
  serial?: string
  /** System UUID (DMI), lower case. */
  uuid?: string
  /** MAC addresses of its network interfaces, lower case; empty where the BMC does not tell. */
  macs: string[]
  model?: string
}

/** Where a machine boots from, once. */
export type BootTarget = 'pxe' | 'cd' | 'disk'

/** What may be asked of whoever switches a machine; nothing here changes anything. */
export interface PowerReader {
  readonly kind: 'redfish' | 'ipmi' | 'wake-on-lan'
  /** What it can do: a person is told before anything is tried. */
  readonly can: { turnOff: boolean; boot: readonly BootTarget[]; media: boolean }
  /** Throws Fault `power-unreachable` (transient), `power-refused` or `power-certificate-differs`. */
  identity(signal: AbortSignal): Promise<MachineIdentity>
  /** `unknown` where nobody can be asked (Wake-on-LAN). */
  state(signal: AbortSignal): Promise<'on' | 'off' | 'unknown'>
}

/** What switches a machine. Every method looks afterwards and comes back when it is so, or throws a Fault. */
export interface PowerWriter extends PowerReader {
  /** Orders where the next boot, and only that, comes from, and reads it back. */
  bootNext(target: BootTarget, signal: AbortSignal): Promise<void>
  /** Takes back an order for the next boot that was not used. */
  clearBootNext(signal: AbortSignal): Promise<void>
  turnOn(signal: AbortSignal): Promise<void>
  /** `gracefully` asks the system and comes back when it is off; `now` takes the power away. */
  turnOff(how: 'gracefully' | 'now', signal: AbortSignal): Promise<void>
  /** Off and on again, whatever runs; turns on a machine that is off. */
  restart(signal: AbortSignal): Promise<void>
  /** Puts an image into the virtual drive. Only where `can.media`. */
  insertMedia(url: string, signal: AbortSignal): Promise<void>
  ejectMedia(signal: AbortSignal): Promise<void>
}
