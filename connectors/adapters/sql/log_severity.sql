multiIf(
    SeverityNumber >= 17, 'error',
    SeverityNumber >= 13, 'warn',
    SeverityNumber >= 9, 'info',
    SeverityNumber >= 1, 'debug',
    lower(SeverityText) IN JSONExtract({error_names:String}, 'Array(String)'), 'error',
    lower(SeverityText) IN JSONExtract({warn_names:String}, 'Array(String)'), 'warn',
    lower(SeverityText) IN JSONExtract({info_names:String}, 'Array(String)'), 'info',
    lower(SeverityText) IN JSONExtract({debug_names:String}, 'Array(String)'), 'debug',
    endsWith(EventName, '_error') OR LogAttributes['success'] = 'false', 'error',
    '')
