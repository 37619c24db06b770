appliance {
  interface = "eth0"
}

profile "base" {
  default = true
  settings {
    timezone           = "GER+2"            # WARNING: Wrong value
    tone_scheme        = "DEU"              # WARNING: Wrong value
    languge            = "Deutsch"          # WARNING: Unknown setting
    web_language       = "Deutch"           # WARNING: Wrong value
    update_policy      = "auto-update"      # WARNING: Wrong value
    ntp_server         = "http://192.0.2.1" # WARNING: Wrong value
    codec_tos          = 300                # WARNING: Wrong value
    call_waiting       = "yes"              # WARNING: Wrong value
    transfer_on_hangup = "yes"              # WARNING: Wrong value
    text_color         = "red"              # WARNING: Wrong value
    prov_polling_time  = "24:00"            # WARNING: Wrong value
    dkey_redial        = "F_REDIAL"
    dkey_menu          = "keyevnt F_SETTINGS"  # WARNING: Wrong value
    multicast_address  = "224.0.1"             # WARNING: Wrong value
    action_setup_url   = "pbx.example/up"      # WARNING: Wrong value
    ring_sound         = "ringer3"             # WARNING: Wrong value
    user_ringer        = ["Ringer12", "Silnt"] # WARNING: Wrong value
    utc_offset         = -3600
    backlight          = ""
  }
}

profile "desk" {
  settings {
    timezone      = "AUT+1" # a country that the catalogue does not have
    ring_sound    = "Bell"  # nor this sound
    user_name1    = "100"   # WARNING: Unknown setting
    admin_mode    = true
    speed         = "112"                      # WARNING: Missing idx
    user_srtp     = true                       # WARNING: Setting of an identity
    ntp_server    = ["192.0.2.1", "192.0.2.2"] # WARNING: Setting without an idx
    user_realname = { value = "x", idx = 0 }   # WARNING: Invalid idx
  }
}

phones "staff" {
  for_each = { "000413000001" = "G722,PCMA", "000413000002" = "g722,pcma", "000413000003" = "pcma,g711u" }
  mac      = each.key
  model    = "snomD785"
  profile  = "desk"
  identity "1" {
    user      = "100"
    password  = "x"
    registrar = "pbx.example"
    settings {
      codec_priority_list = each.value # WARNING: Wrong value
      tone_scheme         = "GER"      # WARNING: Setting of the phone in an identity
    }
  }
}
