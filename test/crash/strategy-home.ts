/** Claims of the example home that have a disk. */
export const claims = ['grafana/data', 'miniflux/data-postgres-0', 'photos/library']

/** Says in the text of a recover.yaml for every one of them how it comes back. */
export function byStrategy(text: string, strategy: string): string {
  const backups = claims.map(claim => `  ${claim}: { restic: backups, path: /data, host: nas }\n`)
  return `${text
    .replace('default: adopt', `default: ${strategy}`)
    .replace('grafana/data: copy', `grafana/data: ${strategy}`)}${
    strategy === 'restore' ? `backups:\n${backups.join('')}` : ''
  }`
}
