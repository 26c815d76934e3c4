/*
** classes.h - the class names of the module's own objects
*/
#ifndef MTS_CLASSES_H
#define MTS_CLASSES_H

#include "base/compiler.h"

/* State objects. */
#define MTS_STATE_CLASS "mtstates.state"

/* Error objects; the names of errors begin with it, too. */
#define MTS_ERROR_CLASS "mtstates.error"

#endif
