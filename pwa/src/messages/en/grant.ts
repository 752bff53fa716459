export const grant = {
  title: 'Grants',
}
