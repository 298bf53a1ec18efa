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

/** How long an order for the next boot holds, as read back. */
export interface BootOrder {
  /**
   * `once`: used up by one boot. `until-cleared`: this BMC keeps it for every boot whatever it is asked (some know nothing
   * else); whoever does not call `clearBootNext` afterwards has a machine that installs itself again and again.
   */
  lasts: 'once' | 'until-cleared'
}

/** What may be asked of whoever switches a machine; nothing here changes anything. */
export interface PowerReader {
  readonly kind: 'redfish' | 'ipmi' | 'wake-on-lan'
  /** How messages call it: `the BMC of lithium (https://192.0.2.111)`. */
  readonly where: string
  /** What it can do: a person is told before anything is tried. */
  readonly can: { turnOff: boolean; boot: readonly BootTarget[]; media: boolean }
  /**
   * Throws Fault `power-unreachable` (transient), `power-login-refused`, `power-certificate-differs`, `power-refused`,
   * `power-machine-ambiguous`, `power-program-missing`.
   */
  identity(signal: AbortSignal): Promise<MachineIdentity>
  /** `unknown` where nobody can be asked (Wake-on-LAN), or while it changes. */
  state(signal: AbortSignal): Promise<'on' | 'off' | 'unknown'>
}

/**
 * What switches a machine. Every method looks afterwards and comes back when it is so, or throws a Fault: those of the
 * reader, `power-without-effect` when the order was taken and nothing came of it in good time, `power-not-offered` when
 * it cannot be ordered here at all. All of them may be repeated.
 */
export interface PowerWriter extends PowerReader {
  /** Orders where the next boot, and only that, comes from, and reads it back. Power has to follow at once: IPMI forgets. */
  bootNext(target: BootTarget, signal: AbortSignal): Promise<BootOrder>
  /** Takes back an order for the next boot that was not used. */
  clearBootNext(signal: AbortSignal): Promise<void>
  turnOn(signal: AbortSignal): Promise<void>
  /** `gracefully` asks the system and comes back when it is off; `now` takes the power away. */
  turnOff(how: 'gracefully' | 'now', signal: AbortSignal): Promise<void>
  /** Off and on again, whatever runs; turns on a machine that is off. */
  restart(signal: AbortSignal): Promise<void>
  /** Puts an image into the virtual drive; another one that is in it is taken out. Only where `can.media`. */
  insertMedia(url: string, signal: AbortSignal): Promise<void>
  ejectMedia(signal: AbortSignal): Promise<void>
}

/** The part of a writer that only looks. */
export function readerOf({ kind, where, can, identity, state }: PowerWriter): PowerReader {
  return { kind, where, can, identity, state }
}
