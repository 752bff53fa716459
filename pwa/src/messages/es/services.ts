export { icon } from './icon'
export { serviceForm } from './serviceForm'
