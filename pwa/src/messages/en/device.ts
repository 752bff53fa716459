export const device = {
  title: 'Devices',
}
