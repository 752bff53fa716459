/** The words of the pages on which admins make services, which bring them along. */
export { icon } from './icon'
export { serviceForm } from './serviceForm'
