import type { Blueprint } from '../../src/lab/blueprint.ts'

/** The smallest home that still has one of everything; tests change what they are about. */
export function smallBlueprint(change: Partial<Blueprint> = {}): Blueprint {
  return {
    cluster: 'home',
    kubernetesVersion: '1.34.2',
    hosts: [
      {
        name: 'lithium',
        role: 'controller+worker',
        machineSerial: 'M-LITHIUM',
        mac: '52:54:00:00:00:01',
        begins: 'installer',
        oldInitiator: 'iqn.2016-04.com.open-iscsi:lithium-old',
        disks: [
          {
            kernelName: 'nvme0n1',
            serial: 'S4EVNX0M123456',
            wwn: 'eui.0025385a01234567',
            model: 'Samsung SSD 970 EVO 500GB',
            sizeBytes: 500_107_862_016,
            content: [{ partition: 'nvme0n1p9', fsType: 'ext4', label: 'ROOT' }],
          },
          {
            kernelName: 'sda',
            serial: 'WD-PHOTOS',
            wwn: '0x50014ee2b1234567',
            model: 'WDC WD40EFRX',
            sizeBytes: 4_000_787_030_016,
            content: [{ partition: 'sda1', fsType: 'btrfs', label: 'photos' }],
          },
        ],
      },
    ],
    nas: {
      account: 'recover',
      password: 'correct horse battery',
      hostname: 'beryllium',
      model: 'DS923+',
      volumePath: '/volume1',
      volumeSizeBytes: 4_000_000_000_000,
      limits: { luns: 256, targets: 128, snapshotsPerLun: 256 },
      csrf: true,
      luns: [
        {
          uuid: '0f5a7c64-1111-4222-8333-444455556666',
          pv: 'pvc-aaaaaaaa-1111-4222-8333-444455556666',
          claim: 'photos/library',
          described: true,
          sizeBytes: 1_073_741_824,
          fsType: 'btrfs',
          files: { '2019/wedding.jpg': 'two people', '2021/first-steps.jpg': 'one small person' },
        },
      ],
    },
    repository: {},
    items: {},
    latency: { ssh: 0, install: 0, boot: 0, nas: 0, clone: 0, api: 0, controllers: 0 },
    ...change,
  }
}
