import { expect, test } from 'vitest'
import { storedPasswords } from '../../runbooks/proof/stored-passwords.ts'

const claim = (id: string, labels: Record<string, string> = {}) => ({
  id,
  namespace: id.split('/')[0] ?? '',
  labels,
})
const miniflux = { 'cnpg.io/cluster': 'postgresql' }

test('a database that came back with its data is named once, with what must equal what is in it', () => {
  const claims = [
    claim('miniflux/postgresql-1', miniflux),
    claim('miniflux/postgresql-1-wal', miniflux),
    claim('authentik/postgresql-1', miniflux),
    claim('photos/library'),
  ]
  const back = new Set(['miniflux/postgresql-1', 'miniflux/postgresql-1-wal', 'photos/library'])
  expect(storedPasswords(claims, back)).toEqual([
    'The database miniflux/postgresql is its old one: postgresql-app is set in it anew, all other roles keep the passwords that they had; your secrets for those must equal them',
  ])
})

test('one that began empty has none', () => {
  expect(storedPasswords([claim('miniflux/postgresql-1', miniflux)], new Set())).toEqual([])
})
