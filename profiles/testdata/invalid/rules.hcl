appliance {
  interface = "eth0"
}

silence "missing-flie" { # ERROR: Unknown rule
  reason = "A slip."
}

silence "missing-file" {
  reason = " " # ERROR: Silence without a reason
}

silence "phone-type" { # ERROR: Missing required argument
}

silence "idle-silence" { # ERROR: Missing required argument
  reasons = "x"        # ERROR: Unsupported argument
  models  = "snomD785" # ERROR: Wrong type
}
