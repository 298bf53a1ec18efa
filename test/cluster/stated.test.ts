import { expect, test } from 'vitest'
import type { Claim, StaticVolume } from '../../src/cluster/inventory.ts'
import { statedClaim, statedClass, statedVolume, statedVolumeTo } from '../../src/cluster/stated.ts'

const claim = (id: string, volume?: string) => ({ id, ...(volume === undefined ? {} : { volume }) }) as Claim
const volume = (name: string, handle: string, of?: string) => ({ name, handle, claim: of }) as StaticVolume
const storageClass = (name: string, isDefault: boolean) => ({
  name,
  provisioner: 'csi',
  parameters: {},
  mountOptions: [],
  isDefault,
  at: '',
})

test('of one claim among many Git says what it says of that one, whichever of the two names the other', () => {
  const storageClasses = [storageClass('lun', false)]
  const inventory = {
    claims: [
      claim('home/named'),
      claim('home/naming', 'pv-2'),
      claim('home/both', 'pv-2'),
      claim('home/none'),
    ],
    volumes: [
      volume('pv-1', 'lun-1', 'home/named'),
      volume('pv-2', 'lun-2'),
      volume('pv-3', 'lun-3', 'home/both'),
      volume('pv-3', 'lun-3', 'home/named'),
    ],
    storageClasses,
  }
  const handleOf = (id: string) => statedVolume(inventory, id)?.handle
  expect(['named', 'naming', 'both', 'none', 'other'].map(name => handleOf(`home/${name}`))).toEqual([
    'lun-1',
    'lun-2',
    'lun-3',
    undefined,
    undefined,
  ])
  expect(statedClaim(inventory, 'home/naming')?.volume).toBe('pv-2')
  expect(statedClaim(inventory, undefined)).toBe(undefined)
  expect(statedVolumeTo(inventory, 'lun-2')?.name).toBe('pv-2')
  expect(statedClass(inventory, 'lun')?.provisioner).toBe('csi')
  expect(statedClass(inventory, undefined)).toBe(undefined)
})

test('who names no class has the default one, where Git has one and no other', () => {
  const of = (...storageClasses: ReturnType<typeof storageClass>[]) =>
    statedClass({ claims: [], volumes: [], storageClasses }, undefined)?.name
  expect(of(storageClass('lun', false), storageClass('share', true))).toBe('share')
  expect(of(storageClass('lun', true), storageClass('share', true))).toBe(undefined)
  expect(of()).toBe(undefined)
})
