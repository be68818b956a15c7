package broken

var _ = undefined
