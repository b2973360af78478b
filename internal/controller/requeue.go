package controller

// Requeuer is how reconcilers come back.
type Requeuer = Wait
