# The weakest layer, in the general file of every model. Besides the names of any layer it has `model`.

settings {
  # Where the phone learns its firmware. Whether it obeys is update_policy, which stays the admin's.
  firmware_status = "${server.url}/${model}/firmware.xml"
}
