import { failed, type Output, type Surroundings, said } from './machine-state.ts'

const network = '0001'

/** What efibootmgr lists and orders of a firmware that has two entries: the disk first, and the network. */
export function efibootmgr(machine: Surroundings, [order, entry]: string[]): Output {
  const { state, blueprint } = machine
  if (order === '--bootnext' && entry === network) {
    machine.changed('efibootmgr --bootnext')
    state.bootOverride = 'pxe'
  } else if (order !== '-v')
    return failed(2, 'efibootmgr: the lab lists entries and boots from the network next')
  const mac = blueprint.mac.replaceAll(':', '')
  return said(
    [
      ...(state.bootOverride === 'pxe' ? [`BootNext: ${network}`] : []),
      'BootCurrent: 0000',
      'Timeout: 0 seconds',
      `BootOrder: 0000,${network}`,
      'Boot0000* Linux\tHD(1,GPT,0a1b2c3d-0000-4000-8000-000000000000,0x800,0x40000)/File(\\EFI\\BOOT\\BOOTX64.EFI)',
      `Boot${network}* UEFI PXEv4 (MAC:${mac.toUpperCase()})\tPciRoot(0x0)/Pci(0x3,0x0)/MAC(${mac},1)/IPv4(0.0.0.0,0,DHCP,0.0.0.0,0.0.0.0,0.0.0.0)`,
      '',
    ].join('\n'),
  )
}
