/** English as a pattern, and what it is in Spanish. */
type Known = readonly [RegExp, string]

/**
 * What stands in the places of sentences, where that is a word or a sentence of Ownline's own and no
 * name: by the place. What is not here stays as it is, like what a system says.
 */
export const inner: Record<string, readonly Known[]> = {
  reason: [
    [/^expired$/, 'se acabó el tiempo'],
    [/^closed$/, 'alguien la cerró'],
    [/^replaced$/, 'pasó a otra dirección'],
    [/^revoked$/, 'se retiró el acceso'],
    [/^failed$/, 'no se pudo abrir'],
    [/^flushed$/, 'se cerraron todas'],
  ],
  kind: [
    [/^private$/, 'es privada'],
    [/^carrier_nat$/, 'la comparten muchos'],
    [/^unusable$/, 'no sirve'],
  ],
  lists: [
    [/^(.+) in that of the site$/, '$1 en la de la sede'],
    [/^(.+?) in that of the grant of (.+) for (.+)$/, '$1 en la del permiso de $2 para $3'],
    [/^(.+?) in that of the device (.+) of (.+)$/, '$1 en la del dispositivo $2 de $3'],
    [/^(\d+) more$/, 'y $1 más'],
  ],
  why: [
    [/^not connected yet$/, 'aún no hay conexión'],
    [/^the connection was closed$/, 'se cerró la conexión'],
    [/^web is stopping$/, 'el servidor se está parando'],
    [/^nobody commands it now$/, 'ahora no lo dirige nadie'],
    [/^it is not commanded yet$/, 'aún no lo dirige nadie'],
    [/^core is busy: .*$/, 'está ocupado'],
    [/^it has not applied revision (\d+) yet$/, 'aún no ha aplicado la revisión $1'],
    [/^what answers there has not the key of this site's core: .*$/, 'lo que responde allí no tiene la clave del core de esta sede: ha cambiado, o es otra máquina; ejecuta `ownline-core pair` allí y `ownline-web site pair` aquí'],
    [/^the core does not obey this web any more: .*$/, 'el core ya no obedece a este servidor: ejecuta `ownline-core pair` allí y `ownline-web site pair` aquí'],
    [/^core has not dialled: .*$/, 'no ha llamado'],
    [/^core can't be reached: .*context deadline exceeded$/, 'no responde a tiempo'],
  ],
}

/** Why a channel for notifications does not take a message. */
export const channelWhy: readonly Known[] = [
  [/^the service answered (.+)$/, 'el servicio respondió $1'],
  [/^the service did not answer in time$/, 'el servicio no respondió a tiempo'],
  [/^it was stopped$/, 'se paró'],
  [/^the name of the service's host can't be resolved$/, 'no se encuentra el nombre de su servidor'],
  [/^the connection was refused$/, 'se rechazó la conexión'],
  [/^its socket is not there$/, 'su socket no existe'],
  [/^its socket may not be used$/, 'su socket no se puede usar'],
  [/^the service's certificate can't be verified$/, 'no se puede comprobar el certificado del servicio'],
  [/^the mail server answered (\d+)$/, 'el servidor de correo respondió $1'],
  [/^the service did not take the message$/, 'el servicio no aceptó el mensaje'],
]

/** In Spanish what is known, and the rest as it is. */
export function inSpanish(known: readonly Known[] | undefined, words: string): string {
  const [pattern, spanish] = known?.find(([one]) => one.test(words)) ?? []
  return pattern && spanish ? words.replace(pattern, spanish) : words
}

/** What stands in a place of a sentence; several things are set apart by semicolons. */
export function place(name: string, words: string): string {
  const all = name === 'lists' ? words.split('; ') : [words]
  return all.map((one) => inSpanish(inner[name], one)).join('; ')
}
