import { connectIpmi } from './ipmi.ts'
import type { IpmiAccess } from './ipmitool.ts'
import type { PowerWriter } from './power.ts'
import { connectRedfish, type RedfishMachine } from './redfish.ts'
import { connectWakeOnLan, type WakeOnLan } from './wake-on-lan.ts'

/** How one machine is switched. */
export type PowerAccess =
  | ({ kind: 'redfish' } & RedfishMachine)
  | ({ kind: 'ipmi' } & IpmiAccess)
  | ({ kind: 'wake-on-lan' } & WakeOnLan)

/** Opens the way to one machine's power; nothing is connected, asked or started before it is used. */
export function connectPower(access: PowerAccess): { writer: PowerWriter; close(): Promise<void> } {
  switch (access.kind) {
    case 'redfish':
      return connectRedfish(access)
    case 'ipmi':
      return connectIpmi(access)
    case 'wake-on-lan':
      return connectWakeOnLan(access)
  }
}
