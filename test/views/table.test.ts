import { expect, test } from 'vitest'
import { tableLines } from '../../src/views/table.ts'

const table = {
  columns: ['APPLICATION', 'IS', 'CLAIMS', 'WHY'],
  rows: [
    ['grafana', 'held', 'grafana/data', 'its data is in Deployment grafana/grafana; after photos'],
    ['csi', 'let through', '', 'volumes need it'],
  ],
}

test('the last column goes on below itself', () => {
  expect(tableLines(table, { columns: 80, colour: false }, 2)).toEqual([
    '  APPLICATION  IS           CLAIMS        WHY',
    '  grafana      held         grafana/data  its data is in Deployment',
    '                                          grafana/grafana; after photos',
    '  csi          let through                volumes need it',
  ])
})

test('on a narrow terminal each row is a line with the rest below it', () => {
  expect(tableLines(table, { columns: 50, colour: false }, 2)).toEqual([
    '  grafana  held',
    '    grafana/data',
    '    its data is in Deployment grafana/grafana;',
    '      after photos',
    '  csi  let through',
    '    volumes need it',
  ])
})

test('what a manifest is called cannot act on the terminal', () => {
  const evil = { columns: ['A', 'B'], rows: [['\u001b[2J', 'x\nAPPLICATION']] }
  const lines = tableLines(evil, { columns: 80, colour: false }, 0)
  expect(lines).toHaveLength(2)
  expect(lines.join('')).not.toMatch(/[\u0000-\u001f]/)
})
